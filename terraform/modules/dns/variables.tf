variable "zone_id" {
  description = "Public zone of Route 53."
  type        = string
}

variable "legal_area" {
  description = "The legal area whose names these are."
  type        = string
}

variable "host_name" {
  description = "Host name of the area: the nearest of its regions."
  type        = string
}

variable "quic_host_name" {
  description = "The same for QUIC. Null: no names for QUIC."
  type        = string
  default     = null

  validation {
    condition     = var.quic_host_name == null ? true : var.quic_host_name != var.host_name
    error_message = "QUIC has a load balancer of its own, and so a host name of its own."
  }
}

variable "regions" {
  description = "Regions of the area by name: where in AWS, their own host names, their load balancers (outputs of `ingress`)."
  type = map(object({
    aws_region     = string
    legal_area     = string
    host_name      = string
    dns_name       = string
    zone_id        = string
    quic_host_name = optional(string)
    quic_dns_name  = optional(string)
    quic_zone_id   = optional(string)
  }))

  validation {
    condition     = length(var.regions) > 0
    error_message = "A name without a region leads nowhere."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : region.legal_area == var.legal_area])
    error_message = "All regions of ${var.host_name} must lie in ${var.legal_area}: Route 53 fails open, and would send its callers to ${join(", ", [for name, region in var.regions : "${name} (${region.legal_area})" if region.legal_area != var.legal_area])}."
  }

  validation {
    condition     = length(distinct([for region in values(var.regions) : region.aws_region])) == length(var.regions)
    error_message = "One latency record for each region of AWS."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : endswith(region.host_name, ".${var.host_name}")])
    error_message = "A region's host name must lie under ${var.host_name}."
  }
}

variable "has_ipv6" {
  description = "Whether the load balancers of TCP are dual-stack. QUIC is not."
  type        = bool
  default     = false
}

variable "health_check" {
  description = "How Route 53 asks each region's host name for /readyz, from many places of the world: port, seconds between questions of one of them, failures in a row until it is ill."
  type = object({
    port       = optional(number, 443)
    interval_s = optional(number, 10)
    failures   = optional(number, 2)
  })
  default = {}

  validation {
    condition     = contains([10, 30], var.health_check.interval_s) && var.health_check.failures >= 1 && var.health_check.failures <= 10
    error_message = "health_check: interval_s is 10 or 30, failures 1 to 10, as Route 53 has them."
  }
}

variable "checker_regions" {
  description = "From where Route 53 asks: at least three of its places, best near your callers. Empty: from all."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.checker_regions) == 0 || length(var.checker_regions) >= 3
    error_message = "checker_regions: at least three, or none."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
