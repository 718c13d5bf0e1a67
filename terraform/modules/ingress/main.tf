# Where clients come in over TCP: WebSocket and HTTP on 443, gRPC on 8443. QUIC and the relay have load balancers of their own.

locals {
  tags = merge({ PatchbayRegion = var.region }, var.tags)

  # AWS allows 32 characters. The hash tells installations apart, the region is for people.
  short_name = "pb-${substr(md5(var.name), 0, 4)}-${trimsuffix(substr(var.region, 0, 16), "-")}"

  is_tls = var.tls_ends_at == "load_balancer"

  # Target groups that replace each other exist side by side for a while, so what cannot change of one is in its name.
  target_protocol = local.is_tls ? "TLS" : "TCP"
  group_marks     = { for name, door in local.doors : name => substr(md5("${local.target_protocol} ${door.port}"), 0, 3) }

  # `has_proxy_header`: the gRPC listener does not speak it.
  doors = {
    http = { public_port = var.ports.public_http, port = var.ports.http, alpn = "HTTP1Only", has_proxy_header = var.has_proxy_protocol }
    grpc = { public_port = var.ports.public_grpc, port = var.ports.grpc, alpn = "HTTP2Only", has_proxy_header = false }
  }
}

resource "aws_lb" "tcp" {
  name               = "${local.short_name}-tcp"
  load_balancer_type = "network"
  internal           = false
  ip_address_type    = var.ip_address_type
  subnets            = var.public_subnet_ids
  security_groups    = [var.security_group_ids.ingress]

  enable_cross_zone_load_balancing                             = var.has_cross_zone
  enable_deletion_protection                                   = var.is_deletion_protected
  enforce_security_group_inbound_rules_on_private_link_traffic = "on"

  tags = merge(local.tags, { Name = "${var.name}-tcp" })

  dynamic "access_logs" {
    for_each = var.access_log_bucket == null ? [] : [var.access_log_bucket]

    content {
      bucket  = access_logs.value
      prefix  = var.name
      enabled = true
    }
  }

  lifecycle {
    precondition {
      condition     = !local.is_tls || var.certificate_arn != null
      error_message = "tls_ends_at = \"load_balancer\" needs certificate_arn."
    }
  }
}

resource "aws_lb_target_group" "door" {
  for_each = local.doors

  name               = "${local.short_name}-${substr(each.key, 0, 1)}${local.group_marks[each.key]}"
  target_type        = "instance"
  protocol           = local.target_protocol
  port               = each.value.port
  vpc_id             = var.vpc_id
  preserve_client_ip = !each.value.has_proxy_header
  proxy_protocol_v2  = each.value.has_proxy_header

  # Sessions end in their own time: the gateway drains them (lifecycle hook), and connections stay meanwhile.
  deregistration_delay   = 30
  connection_termination = false

  # A gateway that drains says 503 at /readyz, and so is ill for the load balancer. Without this it would reset every
  # session of a gateway that is letting them finish.
  target_health_state {
    enable_unhealthy_connection_termination = false
  }

  health_check {
    protocol            = "HTTP"
    port                = var.ports.admin
    path                = "/readyz"
    matcher             = "200"
    interval            = var.health.interval_s
    timeout             = min(var.health.interval_s, 4)
    healthy_threshold   = var.health.healthy
    unhealthy_threshold = var.health.unhealthy
  }

  tags = merge(local.tags, { Name = "${var.name}-${each.key}" })

  # A listener holds its group: the new one must be there before the old one can go.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "door" {
  for_each = local.doors

  load_balancer_arn = aws_lb.tcp.arn
  port              = each.value.public_port
  protocol          = local.is_tls ? "TLS" : "TCP"
  certificate_arn   = local.is_tls ? var.certificate_arn : null
  ssl_policy        = local.is_tls ? var.ssl_policy : null
  alpn_policy       = local.is_tls ? each.value.alpn : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.door[each.key].arn
  }

  tags = local.tags
}
