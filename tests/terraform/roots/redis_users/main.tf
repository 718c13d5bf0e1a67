# The users of one Redis by themselves, to look for their passwords.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "password_version" {
  type = number
}

module "users" {
  source = "../../../../terraform/modules/redis_users"

  name             = "patchbay-passwords-eu-central"
  region           = "eu-central"
  kms_key_arn      = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  password_version = var.password_version
}

output "secret_arns" {
  value = module.users.secret_arns
}

output "readable_secret_arns" {
  value = module.users.readable_secret_arns
}
