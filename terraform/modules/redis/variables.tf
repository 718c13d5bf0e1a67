variable "name" {
  description = "Prefix of all names, such as patchbay-production-eu-west."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "At most 32 small letters, digits and single hyphens: ElastiCache takes 40, and more is added to it."
  }
}

variable "region" {
  description = "The region, as the catalog names it."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, each in a zone of its own."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Two zones or more: Redis must outlive the loss of one."
  }
}

variable "security_group_ids" {
  description = "Security groups of Redis."
  type        = list(string)
}

variable "kms_key_arns" {
  description = "Keys: of its data at rest, and of the two passwords."
  type        = object({ redis = string, secrets = string })
}

variable "node_type" {
  description = "Type of each node."
  type        = string
  default     = "cache.m7g.large"
}

variable "replicas" {
  description = "Nodes beside the primary, in other zones; one of them takes over."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 5
    error_message = "One to five replicas: without one there is nothing to fail over to."
  }
}

variable "engine" {
  description = "redis 7.x or valkey, and its version."
  type        = object({ name = optional(string, "redis"), version = optional(string, "7.1"), family = optional(string, "redis7") })
  default     = {}

  validation {
    condition     = contains(["redis", "valkey"], var.engine.name) && tonumber(split(".", var.engine.version)[0]) >= 7
    error_message = "Patchbay needs a Redis of version 7 or later, or Valkey."
  }
}

variable "prefix" {
  description = "Before every key; see the module redis_users."
  type        = string
  default     = "patchbay"
}

variable "password_version" {
  description = "Raise it by one to make both passwords anew; see the module redis_users."
  type        = number
  default     = 1
}

variable "snapshot_days" {
  description = "Days for which daily snapshots are kept."
  type        = number
  default     = 7
}

variable "windows" {
  description = "When snapshots and maintenance may happen, UTC."
  type        = object({ snapshot = string, maintenance = string })
  default     = { snapshot = "02:00-03:00", maintenance = "sun:03:30-sun:05:00" }
}

variable "log_group" {
  description = "CloudWatch log group for slow and engine logs; empty: none."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
