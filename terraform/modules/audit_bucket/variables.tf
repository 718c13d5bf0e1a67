variable "bucket" {
  description = "Name of the bucket; the world shares one list of them."
  type        = string
}

variable "region" {
  description = "The region whose gateways write it, as the catalog names it."
  type        = string
}

variable "legal_area" {
  description = "Legal area of that region."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that everything in it is encrypted with."
  type        = string
}

variable "retention_days" {
  description = "For so long nobody can change or delete an object, the account's root included."
  type        = number
  default     = 2190

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 36500
    error_message = "Object Lock takes 1 to 36500 days."
  }
}

variable "mode" {
  description = "COMPLIANCE, or GOVERNANCE, which those with s3:BypassGovernanceRetention may bypass: for trials alone."
  type        = string
  default     = "COMPLIANCE"

  validation {
    condition     = contains(["COMPLIANCE", "GOVERNANCE"], var.mode)
    error_message = "The mode is COMPLIANCE or GOVERNANCE."
  }
}

variable "keep_days_after_retention" {
  description = "Objects are deleted so many days after their retention is over."
  type        = number
  default     = 30
}

variable "replica" {
  description = "A bucket of another region of the same legal area, with Object Lock and versions, and its key; null: no second copy in another region."
  type = object({
    region      = string
    legal_area  = string
    bucket_arn  = string
    kms_key_arn = string
  })
  default = null

  validation {
    condition     = var.replica == null ? true : var.replica.legal_area == var.legal_area
    error_message = "The decision log would be copied to another legal area: replicate it to a region of its own one."
  }
  validation {
    condition     = var.replica == null ? true : var.replica.region != var.region
    error_message = "A copy in the same region outlives nothing: replicate it to another region of the legal area."
  }
}

variable "log_bucket" {
  description = "Where S3 writes down who read what; null: nowhere."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the bucket and its role."
  type        = map(string)
  default     = {}
}
