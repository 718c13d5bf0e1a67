# The Redis of one region: limits, leases of engines, usage, commit points, orders. One primary that takes all writes, a
# replica in another zone, TLS alone, and two users. Not a cluster: engines register in a single Redis.
#
# It evicts nothing (docs/limits.md). ElastiCache of these versions has no append-only file beside replicas: what a
# failover or a loss of all nodes costs, and how gateways bring back what they journalled, is in docs/limits.md.

locals {
  name = "${var.name}-redis"

  users = {
    # Everything of Patchbay's own keys. INFO tells a gateway that it speaks to another server than before.
    gateway = "on ~${var.prefix}:* resetchannels -@all +@read +@write +@scripting +@transaction +@connection +time -@dangerous +info -script|flush -script|kill"
    # An engine enters its lease in the registry, and can touch nothing else.
    engine = "on ~${var.prefix}:engines:* resetchannels -@all +@connection +@hash +@sortedset +get +set +time +eval +evalsha +script|load +script|exists -@dangerous"
  }
}

# Another one at each look; only that of the first look, and of a new password_version, becomes a password.
data "aws_secretsmanager_random_password" "this" {
  for_each = local.users

  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.users

  #checkov:skip=CKV2_AWS_57:password_version renews it, with the users of Redis, which a rotation by Secrets Manager alone would not change
  name                    = "${local.name}/${each.key}"
  description             = "Password of the Redis user ${each.key} of ${var.region}"
  kms_key_id              = var.kms_key_arns.secrets
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = local.users

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = data.aws_secretsmanager_random_password.this[each.key].random_password
  secret_string_wo_version = var.password_version
}

# ElastiCache's resource takes no value that stays out of the state: the two passwords are in it. Guard the state as
# docs/deploy.md says.
data "aws_secretsmanager_secret_version" "this" {
  for_each = local.users

  secret_id  = aws_secretsmanager_secret.this[each.key].id
  version_id = aws_secretsmanager_secret_version.this[each.key].version_id
}

resource "aws_elasticache_user" "this" {
  for_each = local.users

  user_id       = "${var.name}-${each.key}"
  user_name     = each.key
  engine        = var.engine.name
  access_string = each.value
  tags          = var.tags

  authentication_mode {
    type      = "password"
    passwords = [data.aws_secretsmanager_secret_version.this[each.key].secret_string]
  }
}

# A group must hold a user named default: one that may do nothing.
resource "aws_elasticache_user" "default" {
  user_id              = "${var.name}-default"
  user_name            = "default"
  engine               = var.engine.name
  access_string        = "off ~keys* -@all"
  no_password_required = true
  tags                 = var.tags
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = local.name
  engine        = var.engine.name
  user_ids      = concat([aws_elasticache_user.default.user_id], [for user in aws_elasticache_user.this : user.user_id])
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
