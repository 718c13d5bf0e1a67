# One provider for each region of AWS. Version 5 of the provider knows no region of a single resource.

locals {
  default_tags = {
    "patchbay:environment" = var.environment
    "patchbay:managed-by"  = "terraform"
  }
}

provider "aws" {
  alias               = "eu_central"
  region              = var.regions["eu-central"].aws_region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.default_tags
  }
}

provider "aws" {
  alias               = "eu_west"
  region              = var.regions["eu-west"].aws_region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.default_tags
  }
}

provider "aws" {
  alias               = "us_east"
  region              = var.regions["us-east"].aws_region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.default_tags
  }
}
