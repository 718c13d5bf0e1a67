# Records of a legal area lead into it and nowhere else.

mock_provider "aws" {}

variables {
  zone_id        = "Z1"
  legal_area     = "eu"
  host_name      = "eu.example.com"
  quic_host_name = "quic.eu.example.com"
  regions = {
    eu-west = {
      aws_region     = "eu-west-1", legal_area = "eu", host_name = "eu-west.eu.example.com", dns_name = "west.elb", zone_id = "ZW"
      quic_host_name = "quic.eu-west.eu.example.com", quic_dns_name = "westq.elb", quic_zone_id = "ZW"
    }
    eu-central = {
      aws_region     = "eu-central-1", legal_area = "eu", host_name = "eu-central.eu.example.com", dns_name = "central.elb", zone_id = "ZC"
      quic_host_name = "quic.eu-central.eu.example.com", quic_dns_name = "centralq.elb", quic_zone_id = "ZC"
    }
  }
}

run "the_areas_name_chooses_among_its_own_regions_by_latency" {
  command = plan

  assert {
    condition     = toset([for record in aws_route53_record.area : one(record.latency_routing_policy).region]) == toset(["eu-west-1", "eu-central-1"])
    error_message = "latency records"
  }
  assert {
    condition     = alltrue([for record in concat(values(aws_route53_record.area), values(aws_route53_record.quic_area)) : length(record.failover_routing_policy) == 0 && one(record.alias).evaluate_target_health])
    error_message = "no record that fails over to elsewhere"
  }
  assert {
    condition     = aws_route53_record.quic_area["eu-west"].name == "quic.eu.example.com" && one(aws_route53_record.quic_area["eu-west"].alias).name == "westq.elb"
    error_message = "QUIC has a name of its own"
  }
}

run "a_region_of_another_legal_area_is_refused" {
  command = plan
  variables {
    regions = {
      eu-west = { aws_region = "eu-west-1", legal_area = "eu", host_name = "eu-west.eu.example.com", dns_name = "west.elb", zone_id = "ZW" }
      us-east = { aws_region = "us-east-1", legal_area = "us", host_name = "us-east.eu.example.com", dns_name = "east.elb", zone_id = "ZE" }
    }
  }
  expect_failures = [var.regions]
}

run "quic_does_not_share_the_name_of_tcp" {
  command = plan
  variables {
    quic_host_name = "eu.example.com"
  }
  expect_failures = [var.quic_host_name]
}
