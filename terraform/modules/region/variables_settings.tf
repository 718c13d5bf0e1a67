# What gateways are told; it becomes /etc/patchbay/gateway.toml.

variable "redis" {
  description = "Redis of the region (outputs of `redis`). `secret_arn` holds the user's password: letters and digits."
  type = object({
    host       = string
    port       = number
    user       = string
    secret_arn = string
  })
}

variable "host_name" {
  description = "The region's own host name."
  type        = string
}

variable "tls_ends_at" {
  description = "Where TLS over TCP ends (output of `ingress`). With `load_balancer` and without secrets.certificate each host makes a certificate for the way from there."
  type        = string
  default     = "load_balancer"

  validation {
    condition     = contains(["load_balancer", "gateway"], var.tls_ends_at)
    error_message = "tls_ends_at is load_balancer or gateway."
  }
}

variable "proxy_cidrs" {
  description = "Networks of load balancers that send PROXY headers (`public_cidrs` of `network`). Empty: connections have the client's address."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for network in var.proxy_cidrs : can(cidrhost(network, 0)) && !can(regex("/[0-9]$", network))])
    error_message = "proxy_cidrs: whoever is in them may say what his address is; networks of /10 and smaller."
  }
}

variable "ports" {
  description = "Ports (output of `network`)."
  type = object({
    http         = optional(number, 8080)
    grpc         = optional(number, 8081)
    admin        = optional(number, 8082)
    relay        = optional(number, 8085)
    webtransport = optional(number, 4433)
  })
  default = {}
}

variable "quic" {
  description = "WebTransport: its target group and host name, public UDP port, processes that end it on each host, pages that may open sessions. Null: off."
  type = object({
    target_group_arn = string
    host_name        = string
    public_port      = optional(number, 443)
    processes        = optional(number, 1)
    origins          = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.quic == null ? true : var.quic.processes >= 1 && var.quic.processes <= 64
    error_message = "quic.processes: 1 to 64."
  }
}

variable "issuers" {
  description = "Who makes callers' tokens. `jwks_key`: name of a file below `config/` in the artifact bucket, for networks without a way to the internet."
  type = list(object({
    issuer       = string
    audience     = string
    jwks_url     = optional(string)
    jwks_key     = optional(string)
    algorithms   = optional(list(string), ["RS256", "ES256", "EdDSA"])
    requires_nbf = optional(bool, true)
  }))

  validation {
    condition     = length(var.issuers) > 0 && alltrue([for issuer in var.issuers : (issuer.jwks_url == null) != (issuer.jwks_key == null)])
    error_message = "issuers: at least one, each with jwks_url or jwks_key."
  }

  validation {
    condition     = alltrue([for issuer in var.issuers : issuer.jwks_url == null ? true : startswith(issuer.jwks_url, "https://")])
    error_message = "jwks_url must be https."
  }

  validation {
    condition     = alltrue([for issuer in var.issuers : issuer.jwks_key == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", issuer.jwks_key)) && !strcontains(issuer.jwks_key, "..")])
    error_message = "jwks_key: a plain path below config/."
  }
}

variable "has_links" {
  description = "Whether the region is linked with others: its gateways dial their relays and have one."
  type        = bool
  default     = true
}

variable "residency" {
  description = "Where audio may be: lists of regions by profile, and the default for tokens that name none. Null: a policy bundle decides (`policy`)."
  type = object({
    profiles = optional(map(list(string)), {})
    default  = optional(list(string), [])
  })
  default = null

  validation {
    condition     = (var.residency == null) != (var.policy == null)
    error_message = "Give residency or policy, one of the two: without either every region of the catalog would be permitted to everybody."
  }

  validation {
    condition     = var.residency == null ? true : length(var.residency.profiles) > 0 || length(var.residency.default) > 0
    error_message = "residency: profiles or a default, or every token is refused."
  }
}

variable "policy" {
  description = "Signed policy bundle (`config/policy.tar.gz` in the artifact bucket): public keys of approvers (PEM) by name, and how many must have signed."
  type = object({
    approvers           = map(string)
    required_signatures = optional(number, 2)
  })
  default = null

  validation {
    condition     = var.policy == null ? true : length(var.policy.approvers) >= var.policy.required_signatures && var.policy.required_signatures >= 1
    error_message = "policy: at least as many approvers as required_signatures."
  }

  validation {
    condition = var.policy == null ? true : alltrue([
      for name, key in var.policy.approvers : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", name)) && can(regex("^-----BEGIN PUBLIC KEY-----", key))
    ])
    error_message = "policy.approvers: plain names, and public keys in PEM."
  }
}

variable "has_plans" {
  description = "Whether `config/plans.toml` in the artifact bucket has plans. Without, there is one plan without limits."
  type        = bool
  default     = false
}

variable "audit" {
  description = "Where copies of the decision log go: a bucket with Object Lock, and for how long they cannot be changed. Null: nowhere."
  type = object({
    bucket         = string
    retention_days = optional(number, 365)
    mode           = optional(string, "COMPLIANCE")
  })
  default = null

  validation {
    condition     = var.audit == null ? true : contains(["COMPLIANCE", "GOVERNANCE"], var.audit.mode)
    error_message = "audit.mode is COMPLIANCE or GOVERNANCE."
  }
}

variable "max_sessions" {
  description = "Sessions of one gateway."
  type        = number
  default     = 2000
}

variable "drain" {
  description = "How a gateway goes: `announce_ms` it says no at /readyz and still takes sessions (at least `least_announce_ms` of `ingress`), then sessions have `finish_ms`."
  type = object({
    announce_ms = optional(number, 20000)
    finish_ms   = optional(number, 60000)
  })
  default = {}

  validation {
    condition     = var.drain.announce_ms >= 15000 && var.drain.announce_ms <= 120000
    error_message = "drain.announce_ms: 15000 to 120000; load balancers ask every five seconds and need two answers."
  }

  validation {
    condition     = var.drain.finish_ms > 40000 && var.drain.finish_ms <= 3600000
    error_message = "drain.finish_ms must exceed the longest utterance and its pause, 40 s at most by default."
  }
}

variable "settings" {
  description = "More settings, by the names of the environment (`PATCHBAY__SESSIONS__IDLE_TIMEOUT_MS`). No secrets: they stand in user data."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.settings : can(regex("^PATCHBAY__[A-Z0-9_]+$", name)) && !can(regex("['\n\r]", value))])
    error_message = "settings: names as PATCHBAY__SECTION__KEY, values on one line without single quotes."
  }
}
