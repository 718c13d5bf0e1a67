# What an environment is told. terraform.tfvars has what is decided for it, account.auto.tfvars what is the account's own.

variable "environment" {
  description = "Its name: part of all names, and the tag by which its costs are found."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "An environment is named with two to twelve small letters and digits."
  }
}

variable "account_id" {
  description = "The AWS account. Another one than the credentials' is refused."
  type        = string
}

variable "domain" {
  description = "Domain under which each legal area has its host name, AREA.DOMAIN."
  type        = string
}

variable "zone_id" {
  description = "Public hosted zone of Route 53 with that domain."
  type        = string
}

variable "bucket_prefix" {
  description = "Before the names of all buckets, which the world shares."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,20}[a-z0-9]$", var.bucket_prefix))
    error_message = "bucket_prefix: 3 to 22 small letters, digits and hyphens. A bucket's name may be 63 long, and that of a role which copies one 64."
  }
}

variable "releases" {
  description = "What is installed: version and SHA-256 of the bundles for gateways and for engines (docs/deploy.md)."
  type = object({
    gateway = object({ version = string, sha256 = string })
    gpu     = object({ version = string, sha256 = string })
  })
}

variable "operator" {
  description = "Whose machines these are, as catalog and policy bundles say it."
  type        = string
  default     = "aws"
}

variable "cost_reference" {
  description = "What a cost_permille of 1000 is."
  type        = string
}

variable "legal_areas" {
  description = "Legal areas by name; see the module legal_areas."
  type        = map(object({ jurisdictions = set(string) }))
}

variable "permitted_area_pairs" {
  description = "Pairs of legal areas between which regions may be linked. None: an area is on its own."
  type        = list(set(string))
  default     = []
}

variable "regions" {
  description = "The three regions, by their names in the catalog; see the modules legal_areas and one_region."
  type = map(object({
    aws_region         = string
    jurisdictions      = set(string)
    legal_area         = string
    cidr               = string
    availability_zones = list(string)
    monthly_limit      = number
    gateways           = object({ instance_type = string, min = number, max = number, max_sessions = number })
    pools = map(object({
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
  }))

  validation {
    condition     = toset(keys(var.regions)) == toset(["eu-central", "eu-west", "us-east"])
    error_message = "This environment has the regions eu-central, eu-west and us-east: another one needs a provider and a call of one_region of its own."
  }
}

variable "accelerators" {
  description = "Global accelerators: the regions behind each, by its name. None may span two legal areas."
  type        = map(set(string))
  default     = {}
}

variable "nat_gateways" {
  description = "The networks' way out to the internet: none, one or every_zone."
  type        = string
}

variable "has_quic" {
  description = "Whether clients may come over WebTransport."
  type        = bool
}

variable "redis" {
  description = "Nodes of each region's Redis; and password_version, raised by one to make its passwords anew (docs/deploy.md)."
  type        = object({ node_type = string, replicas = number, snapshot_days = number, password_version = optional(number, 1) })
}

variable "audit" {
  description = "For how long no object of the decision log's copies can be changed, and how strictly."
  type        = object({ retention_days = number, mode = string })
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

variable "policy" {
  description = "Who approves policy bundles. Null: lists of regions decide, each legal area's regions for its callers."
  type        = object({ approvers = map(string), required_signatures = number })
  default     = null
}

variable "requires_grants" {
  description = "Whether engines and relays ask for placement grants."
  type        = bool
  default     = false
}

variable "budget" {
  description = "Monthly limit of the environment, and who is told."
  type        = object({ monthly_limit = number, email_addresses = list(string) })
}

variable "deploy_principal_arns" {
  description = "Who may roll out releases."
  type        = list(string)
  default     = []
}

variable "is_protected" {
  description = "Whether load balancers, buckets and secrets resist a destroy."
  type        = bool
}
