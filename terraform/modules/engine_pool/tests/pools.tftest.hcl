# What a pool's machines are, and which pools are refused.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = {
      instance_types = ["g6.xlarge", "g5.xlarge", "g6.2xlarge", "g5.2xlarge", "g6e.xlarge"]
      locations      = ["eu-west-1a", "eu-west-1b"]
    }
  }
}

variables {
  name                 = "patchbay-test-eu-west"
  environment          = "test"
  region               = "eu-west"
  pool                 = "gpu-spot"
  capacity             = "spot"
  subnet_ids           = ["subnet-1", "subnet-2"]
  security_group_ids   = ["sg-1"]
  instance_profile_arn = "arn:aws:iam::123456789012:instance-profile/engine"
  kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  size                 = { min = 1, max = 4 }
  host_software        = { functions_script = "true", install_script = "true" }
  artifact_bucket      = "acme-artifacts"
  redis                = { host = "redis.example", port = 6379, user = "engine", secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x" }
}

run "a_spot_pool_is_spread_replaced_early_and_drained" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.name == "patchbay-test-eu-west-engine-gpu-spot" && aws_autoscaling_group.this.capacity_rebalance
    error_message = "machines at risk are replaced before they go"
  }
  assert {
    condition     = one(one(aws_autoscaling_group.this.mixed_instances_policy).instances_distribution).on_demand_percentage_above_base_capacity == 0
    error_message = "spot alone: the catalog says so of each engine"
  }
  assert {
    condition     = length(one(one(aws_autoscaling_group.this.mixed_instances_policy).launch_template).override) >= 3
    error_message = "several types"
  }
  assert {
    condition     = one([for hook in aws_autoscaling_group.this.initial_lifecycle_hook : hook.heartbeat_timeout if hook.name == "drains"]) > var.engine.drain_deadline_ms / 1000 + 20
    error_message = "Auto Scaling waits longer than the engine drains"
  }
}

run "a_machine_tells_its_role_to_nobody_else_and_keeps_nothing_in_the_clear" {
  command = plan

  assert {
    condition     = one(aws_launch_template.this.metadata_options).http_tokens == "required" && one(aws_launch_template.this.metadata_options).http_put_response_hop_limit == 1
    error_message = "IMDSv2 alone, and not from containers"
  }
  assert {
    condition     = one(one(aws_launch_template.this.block_device_mappings).ebs).encrypted == "true"
    error_message = "volumes are encrypted"
  }
  assert {
    condition     = one(aws_launch_template.this.network_interfaces).associate_public_ip_address == "false"
    error_message = "no address of the internet"
  }
}

run "a_reserved_pool_uses_the_reservations_that_are_made_for_it" {
  command = plan

  variables {
    pool         = "gpu-reserved"
    capacity     = "reserved"
    size         = { min = 2, max = 4 }
    reservations = { instances_by_zone = { "eu-west-1a" = 1, "eu-west-1b" = 1 } }
  }

  assert {
    condition     = length(aws_ec2_capacity_reservation.this) == 2 && alltrue([for held in aws_ec2_capacity_reservation.this : held.instance_match_criteria == "targeted"])
    error_message = "one for each zone, for this pool alone"
  }
  assert {
    condition     = one(aws_autoscaling_group.this.capacity_reservation_specification).capacity_reservation_preference == "capacity-reservations-first"
    error_message = "they are used before others"
  }
  assert {
    condition     = one(one(aws_autoscaling_group.this.mixed_instances_policy).instances_distribution).on_demand_percentage_above_base_capacity == 100
    error_message = "no spot in a reserved pool"
  }
  assert {
    condition     = !aws_autoscaling_group.this.capacity_rebalance
    error_message = "nothing to rebalance"
  }
}

run "a_reserved_pool_without_reservations_is_on_demand" {
  command = plan

  variables {
    pool     = "gpu-reserved"
    capacity = "reserved"
  }

  assert {
    condition     = length(aws_ec2_capacity_reservation.this) == 0 && length(aws_autoscaling_group.this.capacity_reservation_specification) == 0
    error_message = "nothing is held, nothing is paid for"
  }
}

run "the_gateways_numbers_decide_unless_somebody_else_does" {
  command = plan

  variables {
    scaling_metric = false
  }

  assert {
    condition     = length(aws_autoscaling_policy.wanted) == 0
    error_message = "the size is left alone"
  }
}

run "a_third_class_is_refused" {
  command         = plan
  expect_failures = [var.capacity]
  variables {
    capacity = "on-demand"
  }
}

run "spot_in_a_single_zone_is_refused" {
  command         = plan
  expect_failures = [var.subnet_ids]
  variables {
    subnet_ids = ["subnet-1"]
  }
}

run "spot_of_a_single_type_is_refused" {
  command         = plan
  expect_failures = [var.instance_types]
  variables {
    instance_types = ["g5.xlarge"]
  }
}

run "reservations_for_spot_are_refused" {
  command         = plan
  expect_failures = [var.reservations]
  variables {
    reservations = { instances_by_zone = { "eu-west-1a" = 1 } }
  }
}

run "more_reservations_than_machines_are_refused" {
  command         = plan
  expect_failures = [var.reservations]
  variables {
    pool         = "gpu-reserved"
    capacity     = "reserved"
    reservations = { instances_by_zone = { "eu-west-1a" = 3 } }
  }
}

run "a_drain_longer_than_a_notice_is_refused" {
  command         = plan
  expect_failures = [var.engine]
  variables {
    engine = { drain_deadline_ms = 120000 }
  }
}

run "a_refresh_goes_back_by_itself_only_where_aws_can" {
  command = plan

  assert {
    condition     = !one(one(aws_autoscaling_group.this.instance_refresh).preferences).auto_rollback
    error_message = "AWS refuses every refresh that would have to go back to the newest image"
  }
}

run "a_type_that_the_region_of_aws_lacks_is_refused" {
  command         = plan
  expect_failures = [aws_launch_template.this]
  variables {
    instance_types = ["g5.xlarge", "g5.2xlarge", "gr6.4xlarge"]
  }
}

run "a_reservation_in_a_zone_that_lacks_the_type_is_refused" {
  command         = plan
  expect_failures = [aws_ec2_capacity_reservation.this]
  variables {
    pool         = "gpu-reserved"
    capacity     = "reserved"
    size         = { min = 2, max = 4 }
    reservations = { instances_by_zone = { "eu-west-1a" = 1, "eu-west-1c" = 1 } }
  }
}
