variable "name" {
  description = "Prefix of names, such as `patchbay-production-eu-west`. Groups of hosts are `NAME-gateway` and `NAME-engine-POOL`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,46}[a-z0-9]$", var.name))
    error_message = "name: 3 to 48 lower-case letters, digits and hyphens."
  }
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

variable "artifact_bucket_arn" {
  description = "The region's bucket of releases, models, catalog and policy."
  type        = string
}

variable "audit_bucket_arn" {
  description = "Where gateways put copies of the decision log: they add, and can neither change nor delete. Null: nowhere."
  type        = string
  default     = null
}

variable "key_arns" {
  description = "Keys of the region (output of `kms`)."
  type        = object({ data = string, secrets = string, audit = string, logs = string })
}

variable "secret_arns" {
  description = "Secrets that hosts of each kind may read, and no others."
  type = object({
    gateway  = optional(list(string), [])
    engine   = optional(list(string), [])
    exporter = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue(flatten([for arns in values(var.secret_arns) : [for arn in arns : can(regex("^arn:[a-z-]+:secretsmanager:", arn)) && !strcontains(arn, "*")]]))
    error_message = "secret_arns: whole ARNs of secrets, without wildcards."
  }
}

variable "quic_target_group_name" {
  description = "Name of the target group in which gateways enter and leave with their server ids (output of `ingress`). Null: without QUIC."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "Boundary of all roles that are made here."
  type        = string
  default     = null
}

variable "deploy_principal_arns" {
  description = "Who may take the role that rolls out releases. Empty: the role is not made."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.deploy_principal_arns : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:(role|user|assumed-role)/", arn))])
    error_message = "deploy_principal_arns: roles and users, not whole accounts."
  }
}

variable "has_session_manager" {
  description = "Whether people may open a shell on hosts through Session Manager, which needs no port. What they do there is in CloudTrail."
  type        = bool
  default     = true
}
