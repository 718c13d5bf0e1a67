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

variable "deletion_window_days" {
  description = "How long a key that is to be deleted can be brought back. What it encrypted is gone with it."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days: 7 to 30."
  }
}

variable "rotation_days" {
  description = "How often new key material is made. Old material still decrypts."
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_days >= 90 && var.rotation_days <= 2560
    error_message = "rotation_days: 90 to 2560."
  }
}

variable "administrator_arns" {
  description = "Roles that may change keys and their policies but not use them. Empty: the account's own IAM policies decide who."
  type        = list(string)
  default     = []
}

variable "has_autoscaling_role" {
  description = "Whether the account has the role AWSServiceRoleForAutoScaling, which starts hosts with encrypted volumes. AWS makes it with the first group; `aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com` makes it at once."
  type        = bool
  default     = true
}
