# What a gateway host is, and which settings are refused before one is made.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  name                 = "patchbay-test-eu-west"
  environment          = "test"
  region               = "eu-west"
  host_name            = "eu-west.eu.speech.example.com"
  subnet_ids           = ["subnet-1", "subnet-2", "subnet-3"]
  security_group_id    = "sg-1"
  instance_profile_arn = "arn:aws:iam::111122223333:instance-profile/patchbay-test-eu-west-gateway"
  key_arns             = { data = "arn:aws:kms:eu-west-1:111122223333:key/1", logs = "arn:aws:kms:eu-west-1:111122223333:key/4" }
  target_group_arns    = ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/a/1"]
  artifact_bucket      = "artifacts-eu-west-1"
  release              = { version = "0.8.0", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  redis = {
    host       = "redis.internal", port = 6379, user = "gateway"
    secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:redis-AbCdEf"
  }
  secrets = {
    certificate     = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:certificate-AbCdEf"
    region_link     = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:link-AbCdEf"
    resumption_keys = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:resumption-AbCdEf"
    webtransport    = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:quic-AbCdEf"
    decision_key    = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:decisions-AbCdEf"
  }
  quic      = { target_group_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/q/1", host_name = "quic.eu-west.eu.speech.example.com" }
  issuers   = [{ issuer = "https://login.example.com/", audience = "patchbay", jwks_url = "https://login.example.com/jwks.json" }]
  residency = { profiles = { eu = ["eu-west", "eu-central"] }, default = ["eu-west", "eu-central"] }
  audit     = { bucket = "audit-eu-west-1" }
}

run "a_host_needs_metadata_tokens_has_an_encrypted_volume_and_no_public_address" {
  command = plan

  assert {
    condition     = one(aws_launch_template.gateway.metadata_options).http_tokens == "required" && one(aws_launch_template.gateway.metadata_options).http_put_response_hop_limit == 1
    error_message = "IMDSv2"
  }
  assert {
    condition     = one(one(aws_launch_template.gateway.block_device_mappings).ebs).encrypted == "true" && one(aws_launch_template.gateway.network_interfaces).associate_public_ip_address == "false"
    error_message = "volume and address"
  }
}

run "the_end_of_a_host_waits_for_the_drain" {
  command = plan

  assert {
    condition     = anytrue([for hook in aws_autoscaling_group.gateway.initial_lifecycle_hook : hook.lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING" && hook.heartbeat_timeout >= 170])
    error_message = "the hook"
  }
  assert {
    condition     = strcontains(local.files["/etc/systemd/system/patchbay-gateway.service"].text, "TimeoutStopSec=110")
    error_message = "20 s announced, 60 s drained, 30 s spare"
  }
  assert {
    condition     = strcontains(local.files["/etc/systemd/system/patchbay-quic-target.service"].text, "After=network-online.target patchbay-gateway.service")
    error_message = "it leaves the targets of QUIC before the gateway drains"
  }
}

run "a_gateway_that_falls_on_a_bad_day_is_started_with_what_it_had" {
  command = plan

  assert {
    condition     = !strcontains(local.files["/etc/systemd/system/patchbay-gateway.service"].text, "Requires=")
    error_message = "systemd never again starts what required something that failed"
  }
  assert {
    condition     = strcontains(local.files["/etc/systemd/system/patchbay-quic-target.service"].text, "Restart=on-failure")
    error_message = "a host that could not enter tries again"
  }
}

run "a_log_is_cut_before_it_fills_the_volume" {
  command = plan

  assert {
    condition     = contains(local.units, "patchbay-logs.timer") && !anytrue([for path, file in local.files : startswith(path, "/etc/logrotate.d/")])
    error_message = "logrotate looks once a day"
  }
}

run "few_sessions_of_a_gateway_are_few_of_each_tenant" {
  command = plan
  variables {
    max_sessions = 500
  }

  assert {
    condition     = strcontains(output.settings_text, "max_sessions_per_tenant = 500\n")
    error_message = "a gateway refuses settings by which a tenant may have more sessions than there are"
  }
}

run "only_a_named_image_can_be_gone_back_to" {
  command = plan
  variables {
    image_id = "ami-0123456789abcdef0"
  }

  assert {
    condition     = one(one(aws_autoscaling_group.gateway.instance_refresh).preferences).auto_rollback
    error_message = "back by itself"
  }
}

run "no_secret_stands_in_the_plan" {
  command = plan

  assert {
    condition     = strcontains(output.user_data, "aws secretsmanager get-secret-value")
    error_message = "a host fetches them"
  }
  assert {
    condition     = !strcontains(output.settings_text, "rediss://") && strcontains(output.settings_text, "scheme = \"nlb\"")
    error_message = "the settings file has none"
  }
}

run "without_quic_and_links_there_is_neither" {
  command = plan
  variables {
    quic      = null
    has_links = false
    secrets   = {}
  }

  assert {
    condition     = !strcontains(output.settings_text, "webtransport") && !strcontains(output.settings_text, "regions.relay") && !contains(keys(local.files), "/usr/local/sbin/patchbay-quic-target")
    error_message = "what is off is left out"
  }
}

run "quic_without_a_certificate_is_refused" {
  command = plan
  variables {
    has_links = false
    secrets   = {}
  }
  expect_failures = [var.secrets]
}

run "a_region_that_permits_everything_to_everybody_is_refused" {
  command = plan
  variables {
    residency = null
  }
  expect_failures = [var.residency]
}

run "a_drain_that_would_cut_words_is_refused" {
  command = plan
  variables {
    drain = { announce_ms = 20000, finish_ms = 10000 }
  }
  expect_failures = [var.drain]
}

run "types_that_save_up_cpu_credits_are_refused" {
  command = plan
  variables {
    instance_type = "t3.large"
  }
  expect_failures = [var.instance_type]
}
