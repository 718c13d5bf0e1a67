variable "bucket" {
  description = "Name of the bucket; the world shares one list of them."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that everything in it is encrypted with."
  type        = string
}

variable "log_bucket" {
  description = "Where S3 writes down who read what; null: nowhere."
  type        = string
  default     = null
}

variable "is_deletable" {
  description = "Whether a destroy may delete it with all that is in it."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "How long earlier versions of an object are kept."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
}
