terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Upwards open: listeners of QUIC, which 5.x does not know, are made by CloudFormation and work with every version.
      version = ">= 5.100.0"
    }
  }
}
