# What AWS documents of its load balancers holds in every plan.

mock_provider "aws" {}

variables {
  name               = "patchbay-production-eu-central"
  region             = "eu-central"
  vpc_id             = "vpc-12345678"
  public_subnet_ids  = ["subnet-1", "subnet-2", "subnet-3"]
  private_subnet_ids = ["subnet-4", "subnet-5", "subnet-6"]
  security_group_ids = { ingress = "sg-1", relay_ingress = "sg-2" }
  certificate_arn    = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  private_zone_id    = "Z1"
  private_zone_name  = "eu-central.patchbay.internal"
}

run "quic_has_a_load_balancer_of_its_own_without_groups_and_with_one_listener" {
  command = plan

  assert {
    condition     = aws_lb.quic[0].ip_address_type == "ipv4" && aws_lb.tcp.security_groups == toset(["sg-1"])
    error_message = "QUIC on IPv4 alone; the groups are on the other one"
  }
  assert {
    condition = [
      for resource in jsondecode(aws_cloudformation_stack.quic[0].template_body).Resources : resource.Properties.Protocol
    ] == ["QUIC", "QUIC"]
    error_message = "one listener and its targets, both QUIC"
  }
  assert {
    condition     = length(output.target_group_arns) == 3 && length(aws_lb_listener.door) == 2
    error_message = "QUIC's targets are not those of the Auto Scaling group: it would enter them without server ids"
  }
}

run "a_gateway_that_drains_keeps_its_connections" {
  command = plan

  assert {
    condition = alltrue([for group in concat(values(aws_lb_target_group.door), aws_lb_target_group.relay) :
    !group.target_health_state[0].enable_unhealthy_connection_termination && tobool(group.connection_termination) == false])
    error_message = "sessions of a draining gateway would be reset"
  }
  assert {
    condition     = output.least_announce_ms == 15000
    error_message = "two checks and one interval"
  }
}

run "names_fit_into_what_aws_allows" {
  command = plan
  variables {
    region = "a-region-with-a-name-that-is-far-too-long-for-a-load-balancer"
  }

  assert {
    condition     = alltrue([for name in [aws_lb.tcp.name, aws_lb.quic[0].name, aws_lb.relay[0].name, output.quic_target_group_name, aws_lb_target_group.relay[0].name, aws_lb_target_group.door["http"].name, aws_lb_target_group.door["grpc"].name] : length(name) <= 32])
    error_message = "32 characters"
  }
}

run "targets_that_take_the_place_of_others_have_another_name" {
  command = plan
  variables {
    tls_ends_at = "gateway"
  }

  # A listener holds the old group, so AWS refuses to delete it first, and two groups cannot share a name.
  assert {
    condition     = aws_lb_target_group.door["http"].protocol == "TCP" && !endswith(aws_lb_target_group.door["http"].name, "-h${substr(md5("TLS 8080"), 0, 3)}")
    error_message = "TLS could never again end elsewhere"
  }
}

run "without_quic_nothing_of_it_is_made" {
  command = plan
  variables {
    has_quic = false
  }

  assert {
    condition     = length(aws_lb.quic) == 0 && length(aws_cloudformation_stack.quic) == 0 && output.quic_target_group_name == null
    error_message = "something of QUIC is left"
  }
}

run "a_dual_stack_load_balancer_needs_the_proxy_protocol" {
  command = plan
  variables {
    ip_address_type = "dualstack"
  }
  expect_failures = [var.ip_address_type]
}

run "with_the_proxy_protocol_only_the_websocket_port_speaks_it" {
  command = plan
  variables {
    ip_address_type    = "dualstack"
    has_proxy_protocol = true
  }

  assert {
    condition     = aws_lb_target_group.door["http"].proxy_protocol_v2 && !aws_lb_target_group.door["grpc"].proxy_protocol_v2 && aws_lb.quic[0].ip_address_type == "ipv4"
    error_message = "gRPC and QUIC do not"
  }
}

run "tls_at_the_load_balancer_needs_a_certificate" {
  command = plan
  variables {
    certificate_arn = null
  }
  expect_failures = [aws_lb.tcp]
}

run "old_versions_of_tls_are_refused" {
  command = plan
  variables {
    ssl_policy = "ELBSecurityPolicy-2016-08"
  }
  expect_failures = [var.ssl_policy]
}
