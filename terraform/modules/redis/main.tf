# The Redis of one region: limits, leases of engines, usage, commit points, orders. One primary that takes all writes, a
# replica in another zone, TLS alone, and two users. Not a cluster: engines register in a single Redis.
#
# It evicts nothing (docs/limits.md). ElastiCache of these versions has no append-only file beside replicas: what a
# failover or a loss of all nodes costs, and how gateways bring back what they journalled, is in docs/limits.md.

locals {
  name = "${var.name}-redis"
}

module "users" {
  source = "../redis_users"

  name             = var.name
  region           = var.region
  engine           = var.engine.name
  prefix           = var.prefix
  password_version = var.password_version
  kms_key_arn      = var.kms_key_arns.secrets
  tags             = var.tags
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = local.name
  engine        = var.engine.name
  user_ids      = module.users.user_ids
  tags          = var.tags
}

resource "aws_elasticache_subnet_group" "this" {
  name        = local.name
  description = "Redis of ${var.region}"
  subnet_ids  = var.subnet_ids
  tags        = var.tags
}

resource "aws_elasticache_parameter_group" "this" {
  name        = local.name
  family      = var.engine.family
  description = "At its memory limit it refuses writes; it drops nothing"
  tags        = var.tags

  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "this" {
  #checkov:skip=CKV_AWS_31:users with passwords (user_group_ids) stand in for the one token of the older AUTH
  replication_group_id       = local.name
  description                = "Redis of ${var.region}"
  engine                     = var.engine.name
  engine_version             = var.engine.version
  node_type                  = var.node_type
  num_cache_clusters         = 1 + var.replicas
  port                       = 6379
  parameter_group_name       = aws_elasticache_parameter_group.this.name
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = var.security_group_ids
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]
  multi_az_enabled           = true
  automatic_failover_enabled = true
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arns.redis
  snapshot_retention_limit   = var.snapshot_days
  snapshot_window            = var.windows.snapshot
  maintenance_window         = var.windows.maintenance
  auto_minor_version_upgrade = true
  apply_immediately          = false
  tags                       = var.tags

  dynamic "log_delivery_configuration" {
    for_each = var.log_group == "" ? toset([]) : toset(["slow-log", "engine-log"])
    content {
      destination      = var.log_group
      destination_type = "cloudwatch-logs"
      log_format       = "json"
      log_type         = log_delivery_configuration.value
    }
  }
}
