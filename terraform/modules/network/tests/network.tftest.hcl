# Who reaches whom in a region's network, and which networks are refused.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  name               = "patchbay-test-eu-west"
  region             = "eu-west"
  cidr               = "10.16.0.0/16"
  availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  peer_cidrs         = { eu-central = "10.17.0.0/16" }
  monitoring_cidrs   = ["10.200.0.0/24"]
  kms_key_arn        = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000"
}

run "groups_name_groups_and_only_four_kinds_of_networks_stand_in_rules" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.between) == 10 && alltrue([for rule in aws_vpc_security_group_ingress_rule.between : rule.cidr_ipv4 == null])
    error_message = "inside the region groups name each other"
  }
  assert {
    condition = toset(keys(aws_vpc_security_group_ingress_rule.from_networks)) == toset([
      "clients ingress_http 0.0.0.0/0", "clients ingress_grpc 0.0.0.0/0", "clients quic 0.0.0.0/0",
      "monitoring 8082 10.200.0.0/24", "monitoring 8083 10.200.0.0/24", "relay eu-central",
      "quic health eu-west-1a", "quic health eu-west-1b", "quic health eu-west-1c",
    ])
    error_message = "who else may come in"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_networks["relay eu-central"].cidr_ipv4 == "10.17.0.0/16" && aws_vpc_security_group_ingress_rule.from_networks["relay eu-central"].from_port == 8085
    error_message = "a linked region reaches the relay alone"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.from_networks : rule.cidr_ipv4 != "0.0.0.0/0" || rule.from_port != 8082])
    error_message = "the admin port is not open to the world"
  }
}

run "without_a_nat_gateway_nothing_leads_to_the_internet_but_load_balancers" {
  command = plan

  assert {
    condition     = length(aws_route.private_nat) == 0 && keys(aws_vpc_security_group_egress_rule.to_networks) == ["relay eu-central"]
    error_message = "no way out of the private subnets"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "no public address by itself"
  }
}

run "each_zone_may_have_a_nat_gateway_of_its_own" {
  command = plan
  variables {
    nat_gateways = "every_zone"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_route.private_nat) == 3
    error_message = "three zones"
  }
}

run "without_quic_no_udp_comes_in" {
  command = plan
  variables {
    has_quic = false
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.from_networks : rule.ip_protocol == "tcp"])
    error_message = "only TCP"
  }
}

run "zones_of_another_region_are_refused" {
  command = plan
  variables {
    availability_zones = ["us-east-1a", "us-east-1b"]
  }
  expect_failures = [aws_vpc.this]
}

run "a_local_zone_which_may_stand_in_another_country_is_refused" {
  command = plan
  variables {
    availability_zones = ["eu-west-1a", "eu-west-1-bue-1a"]
  }
  expect_failures = [aws_vpc.this]
}

run "a_public_range_is_refused" {
  command = plan
  variables {
    cidr = "8.8.0.0/16"
  }
  expect_failures = [var.cidr]
}

run "monitoring_from_everywhere_is_refused" {
  command = plan
  variables {
    monitoring_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.monitoring_cidrs]
}

run "an_endpoint_without_a_narrow_policy_is_refused" {
  command = plan
  variables {
    interface_endpoints = ["ec2"]
  }
  expect_failures = [var.interface_endpoints]
}
