# One pool of engines in one region: machines of one capacity class, of several types, over several zones.
#
# A pool that the catalog calls `reserved` has on-demand machines, with capacity reservations where there are any; one
# that it calls `spot` has spot machines alone. So what an engine says of its class is true of each machine. A fleet is
# a reserved pool as its base and a spot pool beside it.

data "aws_region" "here" {}

module "gpu_types" {
  source = "../gpu_types"
  types  = var.instance_types
}

# What this region of AWS has: a type that it lacks ends an apply halfway, or a pool that waits for it for ever.
data "aws_ec2_instance_type_offerings" "region" {
  location_type = "region"

  filter {
    name   = "instance-type"
    values = local.instance_types
  }
}

locals {
  instance_types = module.gpu_types.instance_types
  types_not_here = setsubtract(local.instance_types, data.aws_ec2_instance_type_offerings.region.instance_types)

  group_name     = "${var.name}-engine-${var.pool}"
  launch_hook    = "serves"
  terminate_hook = "drains"
  is_spot        = var.capacity == "spot"
  # SIGTERM, the drain, and time to end: what systemd waits.
  stop_timeout_s = ceil(var.engine.drain_deadline_ms / 1000) + 20
  # Of the host's side of the hook: the stop, and what the watcher needs to notice.
  drain_heartbeat_s = local.stop_timeout_s + 60
  reservation_group = var.reservations.group_arn != null ? var.reservations.group_arn : one(aws_resourcegroups_group.reservations[*].arn)
  # Known while planning, unlike the group's name.
  has_reservations = local.makes_reservations || var.reservations.group_arn != null

  makes_reservations = length(var.reservations.instances_by_zone) > 0

  tags = merge(var.tags, {
    Name             = local.group_name
    "patchbay:pool"  = var.pool
    "patchbay:class" = var.capacity
  })

  unit = templatefile("${path.module}/host/patchbay-engine.service.tftpl", {
    backend           = var.engine.backend
    capacity          = var.capacity
    drain_deadline_ms = var.engine.drain_deadline_ms
    drain_on          = var.engine.drain_on
    has_model         = var.engine.model != null
    is_spot           = local.is_spot
    pool              = var.pool
    port              = var.engine.port
    region            = var.region
    requires_grants   = var.engine.requires_grants
    slots             = var.engine.slots
    stop_timeout_s    = local.stop_timeout_s
  })

  environment_script = templatefile("${path.module}/host/engine_environment.sh.tftpl", {
    accelerators     = module.gpu_types.accelerators
    aws_region       = data.aws_region.here.name
    functions_script = var.host_software.functions_script
    port             = var.engine.port
    redis            = var.redis
  })

  user_data = templatefile("${path.module}/host/user_data.sh.tftpl", {
    artifact_bucket    = var.artifact_bucket
    aws_region         = data.aws_region.here.name
    environment_script = base64encode(local.environment_script)
    functions_script   = var.host_software.functions_script
    group_name         = local.group_name
    install_script     = var.host_software.install_script
    launch_hook        = local.launch_hook
    lifecycle_script   = base64encode(file("${path.module}/../../host/lifecycle.sh"))
    lifecycle_unit     = base64encode(file("${path.module}/../../host/patchbay-lifecycle.service"))
    model              = var.engine.model
    port               = var.engine.port
    requires_grants    = var.engine.requires_grants
    terminate_hook     = local.terminate_hook
    unit               = base64encode(local.unit)
  })
}

resource "aws_launch_template" "this" {
  name                   = local.group_name
  description            = "Engines of the pool ${var.pool} of ${var.region}"
  image_id               = var.image
  instance_type          = local.instance_types[0]
  update_default_version = true
  # Compressed, as it may be 16 KiB at most; cloud-init knows by itself.
  user_data = base64gzip(local.user_data)
  tags      = local.tags

  iam_instance_profile {
    arn = var.instance_profile_arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = var.metadata_hop_limit
    instance_metadata_tags      = "disabled"
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = var.security_group_ids
  }

  block_device_mappings {
    device_name = "/dev/sda1"
    ebs {
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      volume_size           = var.volume_gib
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])
    content {
      resource_type = tag_specifications.value
      tags          = local.tags
    }
  }

  lifecycle {
    precondition {
      condition     = length(base64gzip(local.user_data)) <= 4 * ceil(16384 / 3)
      error_message = "The user data is larger than the 16 KiB that EC2 takes."
    }
    precondition {
      condition     = length(local.types_not_here) == 0
      error_message = "${data.aws_region.here.name} has no ${join(", ", local.types_not_here)}: name other types for the pool ${var.pool}."
    }
  }
}

resource "aws_autoscaling_group" "this" {
  name                      = local.group_name
  min_size                  = var.size.min
  max_size                  = var.size.max
  vpc_zone_identifier       = var.subnet_ids
  capacity_rebalance        = local.is_spot
  health_check_type         = "EC2"
  health_check_grace_period = 300
  default_instance_warmup   = 60
  termination_policies      = ["OldestLaunchTemplate", "Default"]
  max_instance_lifetime     = 0
  # Machines come up after the apply: a region without spot today is still a region.
  wait_for_capacity_timeout = "0"
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"]

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = local.is_spot ? 0 : 100
      on_demand_allocation_strategy            = "prioritized"
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this.id
        version            = aws_launch_template.this.latest_version
      }

      dynamic "override" {
        for_each = local.instance_types
        content {
          instance_type = override.value
        }
      }
    }
  }

  dynamic "capacity_reservation_specification" {
    for_each = local.has_reservations ? [local.reservation_group] : []
    content {
      capacity_reservation_preference = "capacity-reservations-first"
      capacity_reservation_target {
        capacity_reservation_resource_group_arns = [capacity_reservation_specification.value]
      }
    }
  }

  # As parts of the group they hold for its very first machines.
  initial_lifecycle_hook {
    name                 = local.launch_hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = 900
    # A machine on which no engine came to serve is of no use.
    default_result = "ABANDON"
  }
  initial_lifecycle_hook {
    name                 = local.terminate_hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = local.drain_heartbeat_s
    default_result       = "CONTINUE"
  }

  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 150
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      instance_warmup        = 60
      # AWS cannot go back to a launch template that asks for the newest image, and refuses a refresh that would have to.
      auto_rollback = startswith(var.image, "ami-")
    }
  }

  dynamic "tag" {
    for_each = local.tags
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

# The largest answer of all gateways, over the machines that serve: above 1 there are too few. With no data nothing
# changes. A group without machines is given one as soon as one is wanted.
resource "aws_autoscaling_policy" "wanted" {
  count = var.scaling_metric ? 1 : 0

  name                      = "${local.group_name}-wanted"
  autoscaling_group_name    = aws_autoscaling_group.this.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = 60

  target_tracking_configuration {
    target_value = 1

    customized_metric_specification {
      metrics {
        id          = "wanted"
        return_data = false
        metric_stat {
          stat = "Maximum"
          metric {
            namespace   = "Patchbay"
            metric_name = "WantedEngines"
            dimensions {
              name  = "Environment"
              value = var.environment
            }
            dimensions {
              name  = "Region"
              value = var.region
            }
            dimensions {
              name  = "Pool"
              value = var.pool
            }
          }
        }
      }
      metrics {
        id          = "serving"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/AutoScaling"
            metric_name = "GroupInServiceInstances"
            dimensions {
              name  = "AutoScalingGroupName"
              value = aws_autoscaling_group.this.name
            }
          }
        }
      }
      metrics {
        id          = "ratio"
        expression  = "IF(serving > 0, wanted / serving, wanted)"
        return_data = true
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "missing" {
  count = var.scaling_metric && length(var.alarm_topic_arns) > 0 ? 1 : 0

  alarm_name          = "${local.group_name}-missing"
  alarm_description   = "Engines of the pool ${var.pool} of ${var.region} are wanted and cannot be had"
  comparison_operator = "LessThanThreshold"
  evaluation_periods  = 10
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags

  metric_query {
    id          = "spare"
    expression  = "serving - desired"
    return_data = true
  }
  metric_query {
    id = "serving"
    metric {
      namespace   = "AWS/AutoScaling"
      metric_name = "GroupInServiceInstances"
      period      = 60
      stat        = "Average"
      dimensions  = { AutoScalingGroupName = aws_autoscaling_group.this.name }
    }
  }
  metric_query {
    id = "desired"
    metric {
      namespace   = "AWS/AutoScaling"
      metric_name = "GroupDesiredCapacity"
      period      = 60
      stat        = "Average"
      dimensions  = { AutoScalingGroupName = aws_autoscaling_group.this.name }
    }
  }
}
