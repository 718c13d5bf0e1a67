# What one region of an environment is told. Where it stands comes from legal_areas; the rest from the environment.

variable "name" {
  description = "Prefix of all names, such as patchbay-production-eu-west."
  type        = string
}

variable "environment" {
  description = "Name of the environment."
  type        = string
}

variable "region" {
  description = "The region, as the catalog names it."
  type        = string
}

variable "facts" {
  description = "Where it stands, under whose law, and how it is called: its entry in the output `regions` of legal_areas."
  type = object({
    country             = string
    latitude            = number
    longitude           = number
    jurisdictions       = list(string)
    legal_area          = string
    cidr                = string
    host_name           = string
    quic_host_name      = string
    area_host_name      = string
    area_quic_host_name = string
    peer_cidrs          = map(string)
  })
}

variable "operator" {
  description = "Whose machines they are, as the catalog says it."
  type        = string
  default     = "aws"
}

variable "availability_zones" {
  description = "Zones that are used."
  type        = list(string)
}

variable "nat_gateways" {
  description = "none, one or every_zone; see the module network."
  type        = string
}

variable "has_quic" {
  description = "Whether clients may come over WebTransport."
  type        = bool
}

variable "zone_id" {
  description = "Public zone of Route 53 that host names lie in."
  type        = string
}

variable "makes_area_records" {
  description = "Whether this region's certificate makes the validation records of the names that it shares with other regions of its legal area: one of them must."
  type        = bool
}

variable "bucket_prefix" {
  description = "Before the names of buckets, which the world shares."
  type        = string
}

variable "releases" {
  description = "What is installed: version and SHA-256 of the bundles for gateways and for engines."
  type = object({
    gateway = object({ version = string, sha256 = string })
    gpu     = object({ version = string, sha256 = string })
  })
}

variable "gateways" {
  description = "Hosts of gateways: type, at least, at most."
  type        = object({ instance_type = string, min = number, max = number, max_sessions = number })
}

variable "pools" {
  description = "Pools of engines by name; see the module engine_pool. `models`, `cost_permille`: what the catalog says of them."
  type = map(object({
    capacity      = string
    min           = number
    max           = number
    models        = list(object({ name = string, version = optional(string, "") }))
    cost_permille = number
    types         = optional(list(string))
    image         = optional(string)
    engine = optional(object({
      backend           = optional(string, "onnx-cuda")
      slots             = optional(number, 64)
      drain_deadline_ms = optional(number, 15000)
      drain_on          = optional(list(string), [])
      model             = optional(object({ key = string, sha256 = string }))
    }), {})
    reservations = optional(object({
      instances_by_zone = optional(map(number), {})
      group_arn         = optional(string)
    }), {})
  }))

  validation {
    condition     = length(var.pools) == 0 || anytrue([for pool in values(var.pools) : pool.capacity == "reserved"])
    error_message = "A region of spot machines alone may be gone at once: give it a reserved pool too."
  }
}

variable "redis" {
  description = "Nodes of Redis: type, replicas, days of snapshots; and which passwords its users have: raise password_version by one to make them anew."
  type        = object({ node_type = string, replicas = number, snapshot_days = number, password_version = optional(number, 1) })
}

variable "audit" {
  description = "The decision log's bucket: for how long nothing in it can be changed, and how strictly."
  type        = object({ retention_days = number, mode = string })
}

variable "audit_replica" {
  description = "Audit bucket and key of another region of the same legal area, which gets a copy; null: none."
  type = object({
    region      = string
    legal_area  = string
    bucket_arn  = string
    kms_key_arn = string
  })
  default = null
}

variable "issuers" {
  description = "Who makes callers' tokens; see the module region."
  type = list(object({
    issuer       = string
    audience     = string
    jwks_url     = optional(string)
    jwks_key     = optional(string)
    algorithms   = optional(list(string), ["RS256", "ES256", "EdDSA"])
    requires_nbf = optional(bool, true)
  }))
}

variable "residency" {
  description = "Lists of regions by profile, until a policy bundle decides; see the module region."
  type        = object({ profiles = map(list(string)), default = list(string) })
  default     = null
}

variable "policy" {
  description = "Who approves policy bundles; see the module region."
  type        = object({ approvers = map(string), required_signatures = number })
  default     = null
}

variable "has_links" {
  description = "Whether the region is linked with others."
  type        = bool
}

variable "requires_grants" {
  description = "Whether engines and relays ask for placement grants (docs/engines.md)."
  type        = bool
  default     = false
}

variable "alarm_topic_arns" {
  description = "Topics in this region that hear of missing engines."
  type        = list(string)
  default     = []
}

variable "deploy_principal_arns" {
  description = "Who may roll out releases."
  type        = list(string)
  default     = []
}

variable "is_protected" {
  description = "Whether load balancers, buckets and secrets resist a destroy."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything in the region."
  type        = map(string)
  default     = {}
}
