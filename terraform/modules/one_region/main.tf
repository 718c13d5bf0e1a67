# Everything of one region: its network and keys, Redis, buckets, roles, load balancers, gateways and engines.

data "aws_region" "here" {}

locals {
  tags = merge(var.tags, { "patchbay:region" = "${var.environment}.${var.region}" })

  # Filled by people (docs/deploy.md); Terraform makes them, and never reads them.
  secret_names = toset(concat(
    ["region_link", "resumption_keys", "decision_key"],
    var.has_quic ? ["certificate", "webtransport"] : [],
    var.requires_grants ? ["grant_key"] : [],
  ))

  host_names = concat(
    [var.facts.area_host_name, var.facts.host_name],
    var.has_quic ? [var.facts.area_quic_host_name, var.facts.quic_host_name] : [],
  )
  own_names = var.has_quic ? [var.facts.host_name, var.facts.quic_host_name] : [var.facts.host_name]

  # As the module ingress names its relay; written here too, so that catalogs are known before anything is made.
  relays = ["relay.${module.network.private_zone_name}:${module.network.ports.relay}"]
}

module "kms" {
  source = "../kms"

  name   = var.name
  region = var.region
  tags   = local.tags
}

module "network" {
  source = "../network"

  name               = var.name
  region             = var.region
  cidr               = var.facts.cidr
  availability_zones = var.availability_zones
  nat_gateways       = var.nat_gateways
  has_quic           = var.has_quic
  peer_cidrs         = var.facts.peer_cidrs
  s3_bucket_arns     = [module.artifacts.arn, module.audit.arn]
  kms_key_arn        = module.kms.key_arns.logs
  tags               = local.tags
}

module "artifacts" {
  source = "../artifact_bucket"

  bucket       = "${var.bucket_prefix}-${var.environment}-${var.region}-artifacts"
  kms_key_arn  = module.kms.key_arns.data
  is_deletable = !var.is_protected
  log_bucket   = module.access_logs.ready.bucket
  tags         = local.tags
}

module "audit" {
  source = "../audit_bucket"

  bucket         = "${var.bucket_prefix}-${var.environment}-${var.region}-audit"
  region         = var.region
  legal_area     = var.facts.legal_area
  kms_key_arn    = module.kms.key_arns.audit
  retention_days = var.audit.retention_days
  mode           = var.audit.mode
  replica        = var.audit_replica
  log_bucket     = module.access_logs.ready.bucket
  tags           = local.tags
}

module "redis" {
  source = "../redis"

  name               = var.name
  region             = var.region
  subnet_ids         = module.network.data_subnet_ids
  security_group_ids = [module.network.security_group_ids.redis]
  kms_key_arns       = { redis = module.kms.key_arns.data, secrets = module.kms.key_arns.secrets }
  node_type          = var.redis.node_type
  replicas           = var.redis.replicas
  snapshot_days      = var.redis.snapshot_days
  password_version   = var.redis.password_version
  tags               = local.tags
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secret_names

  #checkov:skip=CKV2_AWS_57:keys and certificates are renewed by people or by their own authority, which Secrets Manager cannot ask
  name                    = "${var.name}/${each.key}"
  description             = "Of the gateways of ${var.region}; docs/deploy.md says what it holds"
  kms_key_id              = module.kms.key_arns.secrets
  recovery_window_in_days = var.is_protected ? 30 : 0
  tags                    = local.tags
}

module "iam" {
  source = "../iam"

  name                   = var.name
  region                 = var.region
  artifact_bucket_arn    = module.artifacts.arn
  audit_bucket_arn       = module.audit.arn
  key_arns               = module.kms.key_arns
  quic_target_group_name = module.ingress.quic_target_group_name
  deploy_principal_arns  = var.deploy_principal_arns
  tags                   = local.tags

  secret_arns = {
    gateway = concat([for secret in aws_secretsmanager_secret.this : secret.arn], module.redis.readable_secret_arns.gateway)
    engine  = module.redis.readable_secret_arns.engine
  }
}

module "certificates" {
  source = "../certificates"

  names            = local.host_names
  area_host_name   = var.facts.area_host_name
  zone_id          = var.zone_id
  validation_names = var.makes_area_records ? null : toset(local.own_names)
  tags             = local.tags
}

module "ingress" {
  source = "../ingress"

  name                  = var.name
  region                = var.region
  vpc_id                = module.network.vpc_id
  public_subnet_ids     = module.network.public_subnet_ids
  private_subnet_ids    = module.network.private_subnet_ids
  security_group_ids    = module.network.security_group_ids
  ports                 = module.network.ports
  certificate_arn       = module.certificates.certificate_arn
  has_quic              = var.has_quic
  has_relay             = var.has_links
  private_zone_id       = module.network.private_zone_id
  private_zone_name     = module.network.private_zone_name
  is_deletion_protected = var.is_protected
  tags                  = local.tags
}

module "gateways" {
  source = "../region"

  name                 = var.name
  environment          = var.environment
  region               = var.region
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.network.security_group_ids.gateways
  instance_profile_arn = module.iam.instance_profile_arns.gateway
  key_arns             = module.kms.key_arns
  target_group_arns    = module.ingress.target_group_arns
  instance_type        = var.gateways.instance_type
  capacity             = { min = var.gateways.min, max = var.gateways.max }
  max_sessions         = var.gateways.max_sessions
  artifact_bucket      = module.artifacts.bucket
  release              = var.releases.gateway
  host_name            = var.facts.host_name
  tls_ends_at          = module.ingress.tls_ends_at
  ports                = module.network.ports
  issuers              = var.issuers
  has_links            = var.has_links
  residency            = var.residency
  policy               = var.policy
  audit                = { bucket = module.audit.bucket, retention_days = var.audit.retention_days, mode = var.audit.mode }
  secrets              = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
  tags                 = local.tags

  redis = {
    host       = module.redis.host
    port       = module.redis.port
    user       = module.redis.users.gateway.name
    secret_arn = module.redis.users.gateway.secret_arn
  }

  quic = var.has_quic ? {
    target_group_arn = module.ingress.quic_target_group_arn
    host_name        = var.facts.quic_host_name
  } : null
}

module "gpu_software" {
  source = "../host_software"

  artifact_bucket = module.artifacts.bucket
  release         = var.releases.gpu
  bundle          = "gpu"
}

module "gpu_types" {
  source   = "../gpu_types"
  for_each = var.pools

  types = each.value.types
}

module "engines" {
  source   = "../engine_pool"
  for_each = var.pools

  name                 = var.name
  environment          = var.environment
  region               = var.region
  pool                 = each.key
  capacity             = each.value.capacity
  subnet_ids           = module.network.private_subnet_ids
  security_group_ids   = [module.network.security_group_ids.engines]
  instance_profile_arn = module.iam.instance_profile_arns.engine
  kms_key_arn          = module.kms.key_arns.data
  instance_types       = each.value.types
  image                = each.value.image
  size                 = { min = each.value.min, max = each.value.max }
  reservations         = each.value.reservations
  host_software        = module.gpu_software
  artifact_bucket      = module.artifacts.bucket
  engine               = merge(each.value.engine, { requires_grants = var.requires_grants })
  alarm_topic_arns     = var.alarm_topic_arns
  tags                 = local.tags

  redis = {
    host       = module.redis.host
    port       = module.redis.port
    user       = module.redis.users.engine.name
    secret_arn = module.redis.users.engine.secret_arn
  }
}
