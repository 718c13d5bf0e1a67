variable "bucket" {
  description = "Name of the bucket; the world shares one list of them."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 small letters, digits and hyphens. With a dot in it TLS would not know its name."
  }
}

variable "kms_key_arn" {
  description = "Key that everything in it is encrypted with; null: S3's own, which access logs need."
  type        = string
  default     = null
}

variable "policy_documents" {
  description = "More statements of its policy, each document as JSON."
  type        = list(string)
  default     = []
}

variable "lifecycle_rule" {
  description = "What goes by itself: name of the rule, days until an object expires (null: never), days for which earlier versions stay."
  type        = object({ id = string, expiration_days = optional(number), noncurrent_days = number })
}

variable "log_bucket" {
  description = "Where S3 writes down who read what; null: nowhere."
  type        = string
  default     = null
}

variable "has_object_lock" {
  description = "Whether objects can be locked. It cannot be changed afterwards without a new bucket."
  type        = bool
  default     = false
}

variable "is_deletable" {
  description = "Whether a destroy may delete it with all that is in it."
  type        = bool
  default     = false

  validation {
    condition     = !(var.is_deletable && var.has_object_lock)
    error_message = "A bucket with Object Lock is not emptied by a destroy: whoever wants that asks for no lock."
  }
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
}
