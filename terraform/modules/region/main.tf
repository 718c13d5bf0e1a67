# The gateways of one region: a launch template, an Auto Scaling group over all zones, and the hooks between it and the drain.

data "aws_region" "current" {}

locals {
  tags       = merge({ PatchbayRegion = var.region }, var.tags)
  group_name = "${var.name}-gateway"

  # EC2 takes 16 KiB before base64; cloud-init unpacks what is compressed.
  user_data_base64 = base64gzip(local.user_data)
}

resource "aws_cloudwatch_log_group" "gateway" {
  name              = "/patchbay/${var.name}/gateway"
  kms_key_id        = var.key_arns.logs
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_launch_template" "gateway" {
  name                   = local.group_name
  description            = "Gateways of ${var.region}, release ${var.release.version}"
  image_id               = var.image_id
  instance_type          = var.instance_type
  ebs_optimized          = true
  update_default_version = true
  user_data              = local.user_data_base64
  tags                   = local.tags

  iam_instance_profile {
    arn = var.instance_profile_arn
  }

  # Tokens are needed, and do not come through a container or a proxy on the host.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  network_interfaces {
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [var.security_group_id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.volume_gib
      encrypted             = true
      kms_key_id            = var.key_arns.data
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = local.group_name })
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data_base64) <= 21844
      error_message = "User data is too long for EC2 (16 KiB, compressed)."
    }
  }
}

resource "aws_autoscaling_group" "gateway" {
  name                      = local.group_name
  min_size                  = var.capacity.min
  max_size                  = var.capacity.max
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = var.target_group_arns
  max_instance_lifetime     = var.max_instance_lifetime_days * 86400
  default_instance_warmup   = 120
  termination_policies      = ["OldestLaunchTemplate", "OldestInstance"]
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"]
  wait_for_capacity_timeout = "20m"

  # The load balancers ask for /readyz and send clients elsewhere; that ends no host. A gateway that drains, or has no engine
  # for a while, says no there and is well. One that hangs is ended by its own host (patchbay-health).
  health_check_type         = "EC2"
  health_check_grace_period = 60

  launch_template {
    id      = aws_launch_template.gateway.id
    version = aws_launch_template.gateway.latest_version
  }

  initial_lifecycle_hook {
    name                 = local.lifecycle_hooks.launch
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = var.launch_timeout_s
    default_result       = "ABANDON"
  }

  # The host answers when its gateway has drained, and says meanwhile that it is at it.
  initial_lifecycle_hook {
    name                 = local.lifecycle_hooks.terminate
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = max(300, local.stop_s + 60)
    default_result       = "CONTINUE"
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      instance_warmup        = 120
      # AWS can neither go back to, nor compare, a launch template that asks for the newest image.
      auto_rollback                = startswith(var.image_id, "ami-")
      skip_matching                = startswith(var.image_id, "ami-")
      scale_in_protected_instances = "Ignore"
      standby_instances            = "Ignore"
    }
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = local.group_name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # The scaling policy decides.
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_policy" "cpu" {
  name                   = "${local.group_name}-cpu"
  autoscaling_group_name = aws_autoscaling_group.gateway.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.capacity.cpu_percent

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}
