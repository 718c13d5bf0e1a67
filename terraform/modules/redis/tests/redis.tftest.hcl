# TLS, users, zones, and what is never dropped. moto lacks groups of users and of parameters, so this is planned only.

mock_provider "aws" {}

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

run "nobody_comes_in_but_the_users_of_its_group" {
  command = plan

  assert {
    condition     = aws_elasticache_user_group.this.user_ids == toset(["patchbay-test-eu-west-default", "engine-patchbay-test-eu-west", "gateway-patchbay-test-eu-west"])
    error_message = "gateways, engines, and the user that may do nothing"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.user_group_ids == toset(["patchbay-test-eu-west-redis"]) && aws_elasticache_replication_group.this.auth_token == null
    error_message = "users, and not the one token of the older AUTH"
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
