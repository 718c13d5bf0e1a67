variable "name" {
  description = "Name of the accelerator."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,63}$", var.name))
    error_message = "name: letters, digits and hyphens, at most 64."
  }
}

variable "legal_area" {
  description = "The one legal area that it serves."
  type        = string
}

variable "endpoints" {
  description = "Load balancers of TCP of the area's regions, by region (`load_balancer_arn` of `ingress`)."
  type = map(object({
    aws_region        = string
    legal_area        = string
    load_balancer_arn = string
  }))

  validation {
    condition     = length(var.endpoints) > 0
    error_message = "endpoints: at least one region."
  }

  validation {
    condition     = alltrue([for endpoint in values(var.endpoints) : endpoint.legal_area == var.legal_area])
    error_message = "A global accelerator across legal areas is refused: it fails open, and would send callers of ${var.legal_area} to ${join(", ", [for name, endpoint in var.endpoints : "${name} (${endpoint.legal_area})" if endpoint.legal_area != var.legal_area])}."
  }
}

variable "ports" {
  description = "TCP ports that are passed on."
  type        = list(number)
  default     = [443, 8443]
}

variable "flow_log_bucket" {
  description = "Bucket for flow logs; null: none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
