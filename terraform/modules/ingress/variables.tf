variable "name" {
  description = "Prefix of names, such as `patchbay-production-eu-west`."
  type        = string
}

variable "region" {
  description = "Name of the region in Patchbay's catalog."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The region's network."
  type        = string
}

variable "public_subnet_ids" {
  description = "Where clients reach the load balancers: one subnet for each zone."
  type        = list(string)

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "public_subnet_ids: at least two zones."
  }
}

variable "private_subnet_ids" {
  description = "Where linked regions reach the relay: subnets with routes to them."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Groups of the load balancers (output of `network`): ingress, relay_ingress."
  type        = object({ ingress = string, relay_ingress = string })
}

variable "ports" {
  description = "Ports (output of `network`)."
  type = object({
    http         = optional(number, 8080)
    grpc         = optional(number, 8081)
    admin        = optional(number, 8082)
    relay        = optional(number, 8085)
    webtransport = optional(number, 4433)
    public_http  = optional(number, 443)
    public_grpc  = optional(number, 8443)
  })
  default = {}
}

variable "ip_address_type" {
  description = "Of the load balancer of TCP: `ipv4`, or `dualstack` with a network that has IPv6. The one of QUIC is always `ipv4`: AWS allows QUIC on no other."
  type        = string
  default     = "ipv4"

  validation {
    condition     = contains(["ipv4", "dualstack"], var.ip_address_type)
    error_message = "ip_address_type is ipv4 or dualstack."
  }

  validation {
    condition     = var.ip_address_type == "ipv4" || var.has_proxy_protocol
    error_message = "A dual-stack load balancer hides the addresses of IPv6 clients behind its own, and all of them would share one limit of handshakes: set has_proxy_protocol."
  }
}

variable "has_proxy_protocol" {
  description = "Whether client addresses come in a PROXY header (Patchbay's `geography.proxy_protocol`) instead of as the connection's own. Only the WebSocket port speaks it."
  type        = bool
  default     = false
}

variable "tls_ends_at" {
  description = "Where TLS over TCP ends: `load_balancer` (ACM renews the certificate; from there to the gateway it is encrypted anew) or `gateway` (the load balancer passes on what it cannot read)."
  type        = string
  default     = "load_balancer"

  validation {
    condition     = contains(["load_balancer", "gateway"], var.tls_ends_at)
    error_message = "tls_ends_at is load_balancer or gateway."
  }
}

variable "certificate_arn" {
  description = "Certificate of ACM in this region for all names under which clients come. Needed where TLS ends at the load balancer."
  type        = string
  default     = null
}

variable "ssl_policy" {
  description = "Security policy of TLS at the load balancer. The default is TLS 1.2 with forward secrecy, and 1.3."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"

  validation {
    condition     = can(regex("TLS13-1-[23]", var.ssl_policy))
    error_message = "ssl_policy must be one with TLS 1.2 or later only."
  }
}

variable "has_quic" {
  description = "Whether clients may come over QUIC (WebTransport), at a load balancer of its own."
  type        = bool
  default     = true
}

variable "public_quic_port" {
  description = "UDP port for QUIC."
  type        = number
  default     = 443
}

variable "has_relay" {
  description = "Whether linked regions reach this region's relay."
  type        = bool
  default     = true
}

variable "private_zone_id" {
  description = "Private zone of the region (output of `network`), for the relay's name."
  type        = string
}

variable "private_zone_name" {
  description = "Its name."
  type        = string
}

variable "health" {
  description = "How /readyz is asked for: every so many seconds, and after how many answers of one kind a gateway counts as well or ill. The gateway's `drain.announce_ms` must be longer than interval_s * unhealthy + interval_s."
  type = object({
    interval_s = optional(number, 5)
    healthy    = optional(number, 2)
    unhealthy  = optional(number, 2)
  })
  default = {}

  validation {
    condition     = var.health.interval_s >= 5 && var.health.interval_s <= 300 && var.health.healthy >= 2 && var.health.healthy <= 10 && var.health.unhealthy >= 2 && var.health.unhealthy <= 10
    error_message = "health: interval_s 5 to 300, healthy and unhealthy 2 to 10, as AWS has them."
  }
}

variable "has_cross_zone" {
  description = "Whether a zone's address also sends to gateways of other zones. Few gateways are filled evenly with it; AWS charges for what crosses zones."
  type        = bool
  default     = true
}

variable "is_deletion_protected" {
  description = "Whether load balancers refuse to be deleted until this is taken back."
  type        = bool
  default     = true
}

variable "access_log_bucket" {
  description = "Bucket for access logs of TLS connections (AWS writes none of TCP and QUIC). Null: none. They hold addresses of clients."
  type        = string
  default     = null
}
