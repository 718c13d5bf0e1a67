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

variable "engine" {
  description = "redis or valkey."
  type        = string
  default     = "redis"
}

variable "prefix" {
  description = "Before every key: limits.redis.prefix of the gateways, --register-prefix of the engines."
  type        = string
  default     = "patchbay"

  validation {
    condition     = can(regex("^[a-z0-9_-]+$", var.prefix))
    error_message = "Small letters, digits, hyphens and underscores: it stands in the users' key patterns."
  }
}

variable "password_version" {
  description = "Raise it by one to make both passwords anew. Those of the version before stay good until it is raised again."
  type        = number
  default     = 1

  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version: 1, then 2, and so on."
  }
}

variable "kms_key_arn" {
  description = "Key of the passwords."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
