# What the plan of an installation refuses, and what it makes of a good one.

variables {
  domain = "speech.example.com"
  legal_areas = {
    eu = { jurisdictions = ["eu", "eea"] }
    us = { jurisdictions = ["us"] }
  }
  regions = {
    eu-west    = { aws_region = "eu-west-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.16.0.0/16" }
    eu-central = { aws_region = "eu-central-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.17.0.0/16" }
    us-east    = { aws_region = "us-east-1", jurisdictions = ["us"], legal_area = "us", cidr = "10.32.0.0/16" }
  }
  links = [{ from = "eu-west", to = "eu-central" }]
}

run "each_legal_area_has_one_host_name_of_its_own" {
  command = plan

  assert {
    condition     = output.areas["eu"].host_name == "eu.speech.example.com" && output.areas["us"].host_name == "us.speech.example.com"
    error_message = "host names of areas"
  }
  assert {
    condition     = output.regions["eu-west"].host_name == "eu-west.eu.speech.example.com" && output.regions["eu-west"].country == "IE"
    error_message = "what a region is told"
  }
  assert {
    condition     = output.regions["eu-west"].peer_cidrs == { eu-central = "10.17.0.0/16" } && length(output.regions["us-east"].peers) == 0
    error_message = "peers are those of links alone"
  }
}

run "a_jurisdiction_that_is_not_that_of_the_aws_region_is_refused" {
  command = plan
  variables {
    regions = {
      eu-west = { aws_region = "us-east-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.16.0.0/16" }
    }
    links = []
  }
  expect_failures = [var.regions]
}

run "london_is_not_in_the_european_union" {
  command = plan
  variables {
    regions = {
      london = { aws_region = "eu-west-2", jurisdictions = ["uk"], legal_area = "eu", cidr = "10.16.0.0/16" }
    }
    links = []
  }
  expect_failures = [var.regions]
}

run "networks_that_overlap_are_refused" {
  command = plan
  variables {
    regions = {
      eu-west    = { aws_region = "eu-west-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.16.0.0/16" }
      eu-central = { aws_region = "eu-central-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.16.128.0/17" }
    }
  }
  expect_failures = [output.regions]
}

run "a_link_across_legal_areas_is_refused" {
  command = plan
  variables {
    links = [{ from = "eu-west", to = "us-east" }]
  }
  expect_failures = [output.regions]
}

run "a_link_across_legal_areas_is_made_where_it_is_permitted" {
  command = plan
  variables {
    links                = [{ from = "eu-west", to = "us-east" }]
    permitted_area_pairs = [["us", "eu"]]
  }
  assert {
    condition     = output.regions["us-east"].peers == tolist(["eu-west"])
    error_message = "the link's other end"
  }
}

run "a_global_accelerator_across_legal_areas_is_refused" {
  command = plan
  variables {
    accelerators = { world = ["eu-west", "us-east"] }
  }
  expect_failures = [var.accelerators]
}

run "an_accelerator_inside_one_legal_area_is_fine" {
  command = plan
  variables {
    accelerators = { eu = ["eu-west", "eu-central"] }
  }
  assert {
    condition     = output.accelerators["eu"].legal_area == "eu"
    error_message = "its area"
  }
}

run "a_region_that_would_take_the_areas_name_for_quic_is_refused" {
  command = plan
  variables {
    regions = {
      quic = { aws_region = "eu-west-1", jurisdictions = ["eu", "eea"], legal_area = "eu", cidr = "10.16.0.0/16" }
    }
    links = []
  }
  expect_failures = [var.regions]
}
