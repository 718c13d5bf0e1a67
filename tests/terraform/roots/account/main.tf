# All of a region that moto can make, and a second region's end of what two regions have together. What it cannot make
# (terraform/README.md) has a stand-in here, or is planned only.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region            = "eu-central-1"
  s3_use_path_style = true
}

provider "aws" {
  alias             = "far"
  region            = "eu-west-1"
  s3_use_path_style = true
}

locals {
  name = "patchbay-test-eu-central"
  tags = { "patchbay:environment" = "test" }
}

module "kms" {
  source = "../../../../terraform/modules/kms"

  name                 = local.name
  region               = "eu-central"
  has_autoscaling_role = false
  tags                 = local.tags
}

module "kms_far" {
  source    = "../../../../terraform/modules/kms"
  providers = { aws = aws.far }

  name                 = "patchbay-test-eu-west"
  region               = "eu-west"
  has_autoscaling_role = false
}

module "network" {
  source = "../../../../terraform/modules/network"

  name               = local.name
  region             = "eu-central"
  cidr               = "10.16.0.0/16"
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  nat_gateways       = "one"
  peer_cidrs         = { eu-west = "10.17.0.0/16" }
  s3_bucket_arns     = [module.artifacts.arn, module.audit.arn]
  kms_key_arn        = module.kms.key_arns.logs
  tags               = local.tags
}

module "access_logs" {
  source = "../../../../terraform/modules/private_bucket"

  bucket           = "acme-patchbay-test-eu-central-access-logs"
  is_deletable     = true
  policy_documents = [data.aws_iam_policy_document.access_logs.json]
  lifecycle_rule   = { id = "a-year", expiration_days = 365, noncurrent_days = 30 }
  tags             = local.tags
}

# Without it S3 takes the bucket for no one's access logs.
data "aws_iam_policy_document" "access_logs" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${module.access_logs.arn}/*"]
    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }
  }
}

module "artifacts" {
  source = "../../../../terraform/modules/artifact_bucket"

  bucket       = "acme-patchbay-test-eu-central-artifacts"
  kms_key_arn  = module.kms.key_arns.data
  is_deletable = true
  log_bucket   = module.access_logs.ready.bucket
  tags         = local.tags
}

module "audit" {
  source = "../../../../terraform/modules/audit_bucket"

  bucket         = "acme-patchbay-test-eu-central-audit"
  region         = "eu-central"
  legal_area     = "eea"
  kms_key_arn    = module.kms.key_arns.audit
  retention_days = 30
  log_bucket     = module.access_logs.ready.bucket
  tags           = local.tags

  replica = {
    region      = "eu-west"
    legal_area  = "eea"
    bucket_arn  = module.audit_far.arn
    kms_key_arn = module.kms_far.key_arns.audit
  }
}

module "audit_far" {
  source    = "../../../../terraform/modules/audit_bucket"
  providers = { aws = aws.far }

  bucket         = "acme-patchbay-test-eu-west-audit"
  region         = "eu-west"
  legal_area     = "eea"
  kms_key_arn    = module.kms_far.key_arns.audit
  retention_days = 30
}

# In the place of Redis, which moto lacks.
resource "aws_secretsmanager_secret" "redis" {
  for_each = toset(["gateway", "engine"])

  name                    = "${local.name}-redis/${each.key}"
  kms_key_id              = module.kms.key_arns.secrets
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret" "region_link" {
  name                    = "${local.name}/region_link"
  recovery_window_in_days = 0
}

module "iam" {
  source = "../../../../terraform/modules/iam"

  name                = local.name
  region              = "eu-central"
  artifact_bucket_arn = module.artifacts.arn
  audit_bucket_arn    = module.audit.arn
  key_arns            = module.kms.key_arns
  tags                = local.tags

  secret_arns = {
    gateway = [aws_secretsmanager_secret.redis["gateway"].arn]
    engine  = [aws_secretsmanager_secret.redis["engine"].arn]
  }
}

resource "aws_route53_zone" "public" {
  #checkov:skip=CKV2_AWS_38:of a test
  #checkov:skip=CKV2_AWS_39:of a test
  name = "speech.example.com"
}

module "certificates" {
  source = "../../../../terraform/modules/certificates"

  names          = ["eea.speech.example.com", "eu-central.eea.speech.example.com"]
  area_host_name = "eea.speech.example.com"
  zone_id        = aws_route53_zone.public.zone_id
}

module "ingress" {
  source = "../../../../terraform/modules/ingress"

  name                  = local.name
  region                = "eu-central"
  vpc_id                = module.network.vpc_id
  public_subnet_ids     = module.network.public_subnet_ids
  private_subnet_ids    = module.network.private_subnet_ids
  security_group_ids    = module.network.security_group_ids
  ports                 = module.network.ports
  certificate_arn       = module.certificates.certificate_arn
  has_quic              = false
  private_zone_id       = module.network.private_zone_id
  private_zone_name     = module.network.private_zone_name
  is_deletion_protected = false
  tags                  = local.tags
}

module "names" {
  source = "../../../../terraform/modules/dns"

  zone_id    = aws_route53_zone.public.zone_id
  legal_area = "eea"
  host_name  = "eea.speech.example.com"

  regions = {
    eu-central = {
      aws_region = "eu-central-1"
      legal_area = "eea"
      host_name  = "eu-central.eea.speech.example.com"
      dns_name   = module.ingress.dns_name
      zone_id    = module.ingress.zone_id
    }
  }
}

module "software" {
  source = "../../../../terraform/modules/host_software"

  artifact_bucket = module.artifacts.bucket
  release         = { version = "0.1.0", sha256 = sha256("a bundle") }
  bundle          = "gpu"
}

module "engines" {
  source   = "../../../../terraform/modules/engine_pool"
  for_each = { reserved = 2, spot = 3 }

  name                 = local.name
  environment          = "test"
  region               = "eu-central"
  pool                 = "gpu-${each.key}"
  capacity             = each.key
  subnet_ids           = module.network.private_subnet_ids
  security_group_ids   = [module.network.security_group_ids.engines]
  instance_profile_arn = module.iam.instance_profile_arns.engine
  kms_key_arn          = module.kms.key_arns.data
  image                = "ami-12c6146b"
  size                 = { min = each.value, max = 6 }
  host_software        = module.software
  artifact_bucket      = module.artifacts.bucket
  redis                = { host = "redis.example", port = 6379, user = "engine", secret_arn = aws_secretsmanager_secret.redis["engine"].arn }
  tags                 = local.tags
}

module "gateways" {
  source = "../../../../terraform/modules/region"

  name                 = local.name
  environment          = "test"
  region               = "eu-central"
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.network.security_group_ids.gateways
  instance_profile_arn = module.iam.instance_profile_arns.gateway
  key_arns             = module.kms.key_arns
  target_group_arns    = module.ingress.target_group_arns
  image_id             = "ami-12c6146b"
  artifact_bucket      = module.artifacts.bucket
  release              = { version = "0.1.0", sha256 = sha256("a bundle") }
  host_name            = "eu-central.eea.speech.example.com"
  redis                = { host = "redis.example", port = 6379, user = "gateway", secret_arn = aws_secretsmanager_secret.redis["gateway"].arn }
  issuers              = [{ issuer = "https://login.example.com/", audience = "patchbay", jwks_url = "https://login.example.com/jwks.json" }]
  residency            = { default = ["eu-central"] }
  has_links            = false
  audit                = { bucket = module.audit.bucket, retention_days = 30 }
  tags                 = local.tags
}

module "budgets" {
  source = "../../../../terraform/modules/budgets"

  environment     = "test"
  monthly_limit   = 100
  region_limits   = { eu-central = 60 }
  email_addresses = ["operations@example.com"]
  tags            = local.tags
}

output "artifact_bucket" {
  value = module.artifacts.bucket
}

output "audit_bucket" {
  value = module.audit.bucket
}

output "access_log_bucket" {
  value = module.access_logs.bucket
}

output "groups" {
  value = merge({ gateway = module.gateways.autoscaling_group_name }, { for name, pool in module.engines : name => pool.autoscaling_group_name })
}
