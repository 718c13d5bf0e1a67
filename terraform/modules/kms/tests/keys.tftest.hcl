# Keys stay in their region and are renewed.

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
  name   = "patchbay-test-eu-west"
  region = "eu-west"
}

run "no_key_leaves_its_region_and_each_is_renewed" {
  command = plan

  assert {
    condition     = toset(keys(aws_kms_key.this)) == toset(["data", "secrets", "audit", "logs"])
    error_message = "one for each purpose"
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.this : !key.multi_region && key.enable_key_rotation])
    error_message = "single-region, rotated"
  }
}

run "logs_may_use_their_key_and_no_other" {
  command = plan

  assert {
    condition = alltrue([
      for purpose, policy in data.aws_iam_policy_document.key :
      anytrue([for statement in policy.statement : statement.sid == "LogsOfThisRegion"]) == (purpose == "logs")
    ])
    error_message = "CloudWatch Logs in one policy"
  }
}
