# Where linked regions come in. The relay speaks mutual TLS, so the load balancer passes on what it cannot read.

resource "aws_lb" "relay" {
  #checkov:skip=CKV_AWS_91:AWS writes access logs of TLS listeners only
  count = var.has_relay ? 1 : 0

  name               = "${local.short_name}-relay"
  load_balancer_type = "network"
  internal           = true
  ip_address_type    = "ipv4"
  subnets            = var.private_subnet_ids
  security_groups    = [var.security_group_ids.relay_ingress]

  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.is_deletion_protected

  tags = merge(local.tags, { Name = "${var.name}-relay" })
}

resource "aws_lb_target_group" "relay" {
  count = var.has_relay ? 1 : 0

  name        = "${local.short_name}-r${var.ports.relay}"
  target_type = "instance"
  protocol    = "TCP"
  port        = var.ports.relay
  vpc_id      = var.vpc_id

  # Who calls stands in the certificate; addresses of other regions need not come through.
  preserve_client_ip     = false
  deregistration_delay   = 30
  connection_termination = false

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

  tags = merge(local.tags, { Name = "${var.name}-relay" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "relay" {
  count = var.has_relay ? 1 : 0

  load_balancer_arn = aws_lb.relay[0].arn
  port              = var.ports.relay
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.relay[0].arn
  }

  tags = local.tags
}

resource "aws_route53_record" "relay" {
  count = var.has_relay ? 1 : 0

  zone_id = var.private_zone_id
  name    = "relay.${var.private_zone_name}"
  type    = "A"

  alias {
    name                   = aws_lb.relay[0].dns_name
    zone_id                = aws_lb.relay[0].zone_id
    evaluate_target_health = false
  }
}
