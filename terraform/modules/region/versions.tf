terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Upwards open: nothing here depends on what 6.0 changed (regions of resources), and the root module pins.
      version = ">= 5.100.0"
    }
  }
}
