# An accelerator never spans two legal areas.

mock_provider "aws" {}

variables {
  name       = "patchbay-eu"
  legal_area = "eu"
  endpoints = {
    eu-west    = { aws_region = "eu-west-1", legal_area = "eu", load_balancer_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/a/1" }
    eu-central = { aws_region = "eu-central-1", legal_area = "eu", load_balancer_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/b/2" }
  }
}

run "it_leads_to_the_regions_of_its_area" {
  command = plan

  assert {
    condition     = length(aws_globalaccelerator_endpoint_group.region) == 2 && aws_globalaccelerator_listener.tcp.protocol == "TCP"
    error_message = "two regions, TCP alone"
  }
}

run "a_global_accelerator_across_legal_areas_is_refused" {
  command = plan
  variables {
    endpoints = {
      eu-west = { aws_region = "eu-west-1", legal_area = "eu", load_balancer_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/a/1" }
      us-east = { aws_region = "us-east-1", legal_area = "us", load_balancer_arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/b/2" }
    }
  }
  expect_failures = [var.endpoints]
}
