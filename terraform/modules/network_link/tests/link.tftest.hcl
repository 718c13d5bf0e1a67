# A link is made inside a legal area, and across two only where that is permitted.

mock_provider "aws" {
  alias = "near"
}
mock_provider "aws" {
  alias = "far"
}

variables {
  name = "patchbay-test"
  near = {
    region          = "eu-west", aws_region = "eu-west-1", legal_area = "eu", vpc_id = "vpc-11111111", cidr = "10.16.0.0/16"
    route_table_ids = ["rtb-1", "rtb-2"], private_zone_id = "Z1"
  }
  far = {
    region          = "eu-central", aws_region = "eu-central-1", legal_area = "eu", vpc_id = "vpc-22222222", cidr = "10.17.0.0/16"
    route_table_ids = ["rtb-3"], private_zone_id = "Z2"
  }
}

run "both_ends_find_each_other_and_nobody_else" {
  command = plan
  providers = {
    aws.near = aws.near
    aws.far  = aws.far
  }
  assert {
    condition     = length(aws_route.near) == 2 && aws_route.near[0].destination_cidr_block == "10.17.0.0/16" && aws_route.far[0].destination_cidr_block == "10.16.0.0/16"
    error_message = "routes"
  }
  assert {
    condition     = aws_route53_zone_association.near_resolves_far.zone_id == "Z2" && aws_route53_zone_association.near_resolves_far.vpc_id == "vpc-11111111"
    error_message = "names"
  }
}

run "a_link_across_legal_areas_is_refused" {
  command = plan
  providers = {
    aws.near = aws.near
    aws.far  = aws.far
  }
  variables {
    far = {
      region          = "us-east", aws_region = "us-east-1", legal_area = "us", vpc_id = "vpc-22222222", cidr = "10.32.0.0/16"
      route_table_ids = ["rtb-3"], private_zone_id = "Z2"
    }
  }
  expect_failures = [var.far]
}

run "networks_that_overlap_are_refused" {
  command = plan
  providers = {
    aws.near = aws.near
    aws.far  = aws.far
  }
  variables {
    far = {
      region          = "eu-central", aws_region = "eu-central-1", legal_area = "eu", vpc_id = "vpc-22222222", cidr = "10.16.64.0/18"
      route_table_ids = ["rtb-3"], private_zone_id = "Z2"
    }
  }
  expect_failures = [var.far]
}

run "a_pair_of_three_areas_is_refused" {
  command = plan
  providers = {
    aws.near = aws.near
    aws.far  = aws.far
  }
  variables {
    permitted_area_pairs = [["eu", "us", "uk"]]
  }
  expect_failures = [var.permitted_area_pairs]
}
