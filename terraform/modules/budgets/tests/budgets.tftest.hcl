# Who is told of which costs.

mock_provider "aws" {}

variables {
  environment     = "test"
  monthly_limit   = 100
  region_limits   = { eu-central = 60, us-east = 40 }
  email_addresses = ["operations@example.com"]
}

run "an_environment_and_each_of_its_regions_has_a_budget" {
  command = plan

  assert {
    condition     = toset(output.names) == toset(["patchbay-test", "patchbay-test-eu-central", "patchbay-test-us-east"])
    error_message = "one each"
  }
  assert {
    condition     = one(aws_budgets_budget.this["test-eu-central"].cost_filter).values[0] == "user:patchbay:region$test.eu-central"
    error_message = "found by the tag that everything in the region has"
  }
  assert {
    condition     = contains([for alert in aws_budgets_budget.this["test"].notification : alert.notification_type], "FORECASTED")
    error_message = "somebody hears before it is spent"
  }
}

run "a_budget_that_tells_nobody_is_refused" {
  command         = plan
  expect_failures = [var.email_addresses]
  variables {
    email_addresses = []
  }
}

run "regions_that_may_spend_more_than_the_whole_are_refused" {
  command         = plan
  expect_failures = [var.region_limits]
  variables {
    region_limits = { eu-central = 80, us-east = 40 }
  }
}
