# TLS, users, zones, and what is never dropped. moto lacks users and parameter groups, so this is planned only.

mock_provider "aws" {
  mock_data "aws_secretsmanager_random_password" {
    defaults = { random_password = "a-password-of-no-use-anywhere" }
  }
  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "a-password-of-no-use-anywhere" }
  }
}

variables {
  name               = "patchbay-test-eu-west"
  region             = "eu-west"
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  kms_key_arns       = { redis = "arn:aws:kms:eu-west-1:123456789012:key/1", secrets = "arn:aws:kms:eu-west-1:123456789012:key/2" }
}

run "it_speaks_tls_alone_and_outlives_a_zone" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "no connection without TLS"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.num_cache_clusters == 2
    error_message = "a replica in another zone takes over"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true" && aws_elasticache_replication_group.this.kms_key_id == var.kms_key_arns.redis
    error_message = "encrypted with the region's own key"
  }
}

run "it_drops_nothing" {
  command = plan

  assert {
    condition     = one(aws_elasticache_parameter_group.this.parameter).name == "maxmemory-policy" && one(aws_elasticache_parameter_group.this.parameter).value == "noeviction"
    error_message = "evicted tabs would be billed again"
  }
}

run "nobody_comes_in_without_a_password_and_engines_reach_the_registry_alone" {
  command = plan

  assert {
    condition     = startswith(aws_elasticache_user.default.access_string, "off ")
    error_message = "the user that everybody knows may do nothing"
  }
  assert {
    condition     = strcontains(aws_elasticache_user.this["engine"].access_string, "~patchbay:engines:*") && !strcontains(aws_elasticache_user.this["engine"].access_string, "~patchbay:* ")
    error_message = "engines touch leases alone"
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : secret.kms_key_id == var.kms_key_arns.secrets])
    error_message = "passwords are encrypted with the key for secrets"
  }
}

run "a_single_zone_is_refused" {
  command         = plan
  expect_failures = [var.subnet_ids]
  variables {
    subnet_ids = ["subnet-1"]
  }
}

run "no_replica_is_refused" {
  command         = plan
  expect_failures = [var.replicas]
  variables {
    replicas = 0
  }
}

run "a_redis_that_lacks_what_patchbay_asks_is_refused" {
  command         = plan
  expect_failures = [var.engine]
  variables {
    engine = { version = "6.2", family = "redis6.x" }
  }
}
