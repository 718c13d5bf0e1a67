# Hosts of every kind, with all that may be written into them known while planning.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = var.aws_region
}

locals {
  secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:patchbay-test-eu-central"
  key    = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

module "software" {
  source   = "../../../../terraform/modules/host_software"
  for_each = toset(["gateway", "gpu"])

  artifact_bucket = "acme-artifacts"
  release         = { version = "0.1.0", sha256 = sha256("a bundle") }
  bundle          = each.key
}

module "pool" {
  source = "../../../../terraform/modules/engine_pool"
  for_each = {
    spot     = { requires_grants = false, model = null, drain_on = ["rebalance"] }
    reserved = { requires_grants = true, model = { key = "models/big.tar.gz", sha256 = sha256("a model") }, drain_on = [] }
  }

  name                 = "patchbay-test-eu-central"
  environment          = "test"
  region               = "eu-central"
  pool                 = "gpu-${each.key}"
  capacity             = each.key
  subnet_ids           = ["subnet-1", "subnet-2"]
  security_group_ids   = ["sg-1"]
  instance_profile_arn = "arn:aws:iam::123456789012:instance-profile/engine"
  kms_key_arn          = local.key
  size                 = { min = 1, max = 4 }
  host_software        = module.software["gpu"]
  artifact_bucket      = "acme-artifacts"
  engine               = each.value
  redis                = { host = "redis.example", port = 6379, user = "engine", secret_arn = "${local.secret}-redis-engine" }
}

module "gateways" {
  source   = "../../../../terraform/modules/region"
  for_each = toset(["lists", "bundle"])

  name                 = "patchbay-test-eu-central"
  environment          = "test"
  region               = "eu-central"
  subnet_ids           = ["subnet-1", "subnet-2"]
  security_group_id    = "sg-2"
  instance_profile_arn = "arn:aws:iam::123456789012:instance-profile/gateway"
  key_arns             = { data = local.key, logs = local.key }
  target_group_arns    = ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/door/0123456789abcdef"]
  artifact_bucket      = "acme-artifacts"
  release              = { version = "0.1.0", sha256 = sha256("a bundle") }
  host_name            = "eu-central.eea.speech.example.com"
  redis                = { host = "redis.example", port = 6379, user = "gateway", secret_arn = "${local.secret}-redis-gateway" }
  issuers              = [{ issuer = "https://login.example.com/", audience = "patchbay", jwks_url = "https://login.example.com/jwks.json" }]
  audit                = { bucket = "acme-audit", retention_days = 30 }
  residency            = each.key == "lists" ? { profiles = { eea = ["eu-central"] }, default = ["eu-central"] } : null
  policy               = each.key == "bundle" ? { approvers = { ada = var.public_key, grace = var.public_key } } : null
  has_plans            = each.key == "bundle"

  secrets = {
    for name in concat(["certificate", "region_link", "resumption_keys", "webtransport", "decision_key"], each.key == "bundle" ? ["grant_key"] : []) :
    name => "${local.secret}-${name}"
  }

  quic = {
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/quic/0123456789abcdef"
    host_name        = "quic.eu-central.eea.speech.example.com"
  }
}

variable "public_key" {
  type = string
}

variable "aws_region" {
  type    = string
  default = "eu-central-1"
}

output "engine_user_data" {
  value = { for name, pool in module.pool : name => pool.user_data }
}

output "engine_units" {
  value = { for name, pool in module.pool : name => pool.unit }
}

output "engine_environment_scripts" {
  value = { for name, pool in module.pool : name => pool.environment_script }
}

output "gateway_settings" {
  value = { for name, region in module.gateways : name => region.settings_text }
}

output "gateway_environments" {
  value = { for name, region in module.gateways : name => region.example_environment }
}

output "gateway_user_data" {
  value = { for name, region in module.gateways : name => region.user_data }
}
