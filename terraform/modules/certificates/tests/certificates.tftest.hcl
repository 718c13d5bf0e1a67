# A certificate holds for names of one legal area.

mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    override_during = plan
    defaults = {
      arn = "arn:aws:acm:eu-west-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
      domain_validation_options = [
        { domain_name = "eu.example.com", resource_record_name = "_1.eu.example.com", resource_record_type = "CNAME", resource_record_value = "_1.acm" },
        { domain_name = "eu-west.eu.example.com", resource_record_name = "_2.eu-west.eu.example.com", resource_record_type = "CNAME", resource_record_value = "_2.acm" },
      ]
    }
  }
}

variables {
  names          = ["eu.example.com", "eu-west.eu.example.com"]
  area_host_name = "eu.example.com"
  zone_id        = "Z1"
}

run "every_name_is_validated" {
  command = plan

  assert {
    condition     = aws_acm_certificate.this.domain_name == "eu.example.com" && toset(keys(aws_route53_record.validation)) == toset(var.names)
    error_message = "a record for each name"
  }
}

run "records_of_shared_names_can_be_left_to_another_region" {
  command = plan
  variables {
    validation_names = ["eu-west.eu.example.com"]
  }
  assert {
    condition     = keys(aws_route53_record.validation) == ["eu-west.eu.example.com"]
    error_message = "its own name alone"
  }
}

run "a_name_of_another_legal_area_is_refused" {
  command = plan
  variables {
    names = ["eu.example.com", "us.example.com"]
  }
  expect_failures = [var.names]
}

run "wildcards_are_refused" {
  command = plan
  variables {
    names = ["*.eu.example.com"]
  }
  expect_failures = [var.names]
}
