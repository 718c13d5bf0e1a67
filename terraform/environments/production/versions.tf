terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6"
    }
  }

  # Bucket, key and region come with `terraform init -backend-config=backend.hcl` (docs/deploy.md).
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
