# Where clients come in over QUIC. What AWS documents of QUIC and TCP_QUIC listeners decides all of it: passed through, QUIC
# version 1 only; one such listener on a load balancer, none beside UDP or TCP_UDP; no dual stack; no security groups; each
# target with a server id of its own, which gateways enter by themselves.

resource "aws_lb" "quic" {
  #checkov:skip=CKV_AWS_91:AWS writes access logs of TLS listeners only
  count = var.has_quic ? 1 : 0

  name               = "${local.short_name}-quic"
  load_balancer_type = "network"
  internal           = false
  ip_address_type    = "ipv4"
  subnets            = var.public_subnet_ids

  enable_cross_zone_load_balancing = var.has_cross_zone
  enable_deletion_protection       = var.is_deletion_protected

  tags = merge(local.tags, { Name = "${var.name}-quic" })

  lifecycle {
    # Security groups can be put on a load balancer only while it is made; AWS then takes no QUIC listener.
    postcondition {
      condition     = length(self.security_groups) == 0 && self.ip_address_type == "ipv4"
      error_message = "QUIC listeners are possible neither with security groups nor on a dual-stack load balancer."
    }
  }
}

locals {
  # With its port: a target group's port cannot change, and CloudFormation could not make the new one under the same name.
  quic_target_group_name = "${local.short_name}-q${var.ports.webtransport}"

  quic_template = {
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "QUIC listener of ${var.name}"
    Parameters               = { LoadBalancer = { Type = "String" }, Vpc = { Type = "String" } }
    Resources = {
      Targets = {
        Type = "AWS::ElasticLoadBalancingV2::TargetGroup"
        Properties = {
          Name                       = local.quic_target_group_name
          TargetType                 = "instance"
          Protocol                   = "QUIC"
          Port                       = var.ports.webtransport
          VpcId                      = { Ref = "Vpc" }
          HealthCheckEnabled         = true
          HealthCheckProtocol        = "HTTP"
          HealthCheckPort            = tostring(var.ports.admin)
          HealthCheckPath            = "/readyz"
          HealthCheckIntervalSeconds = var.health.interval_s
          HealthCheckTimeoutSeconds  = min(var.health.interval_s, 4)
          HealthyThresholdCount      = var.health.healthy
          UnhealthyThresholdCount    = var.health.unhealthy
          Matcher                    = { HttpCode = "200" }
          TargetGroupAttributes      = [{ Key = "deregistration_delay.timeout_seconds", Value = "30" }]
        }
      }
      Listener = {
        Type = "AWS::ElasticLoadBalancingV2::Listener"
        Properties = {
          LoadBalancerArn = { Ref = "LoadBalancer" }
          Protocol        = "QUIC"
          Port            = var.public_quic_port
          DefaultActions  = [{ Type = "forward", TargetGroupArn = { Ref = "Targets" } }]
        }
      }
    }
    Outputs = { TargetGroupArn = { Value = { Ref = "Targets" } } }
  }
}

resource "aws_cloudformation_stack" "quic" {
  #checkov:skip=CKV_AWS_124:The stack has two resources and changes only when Terraform changes it; Terraform reports its failures
  count = var.has_quic ? 1 : 0

  name          = "${var.name}-quic"
  template_body = jsonencode(local.quic_template)
  on_failure    = "DELETE"
  tags          = local.tags

  parameters = {
    LoadBalancer = aws_lb.quic[0].arn
    Vpc          = var.vpc_id
  }
}
