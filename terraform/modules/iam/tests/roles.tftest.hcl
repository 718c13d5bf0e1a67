# What hosts may do, and that they may do nothing else.

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
  name                = "patchbay-test-eu-west"
  region              = "eu-west"
  artifact_bucket_arn = "arn:aws:s3:::artifacts"
  audit_bucket_arn    = "arn:aws:s3:::audit"
  key_arns = {
    data  = "arn:aws:kms:eu-west-1:111122223333:key/1", secrets = "arn:aws:kms:eu-west-1:111122223333:key/2"
    audit = "arn:aws:kms:eu-west-1:111122223333:key/3", logs = "arn:aws:kms:eu-west-1:111122223333:key/4"
  }
  secret_arns = {
    gateway = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:gateway-redis-AbCdEf"]
    engine  = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:engine-redis-AbCdEf"]
  }
  quic_target_group_name = "pb-test-quic"
}

run "every_resource_is_named_where_aws_has_one" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for policy in data.aws_iam_policy_document.host : [
        for statement in policy.statement : !contains(statement.resources, "*") || contains(["PublishFigures", "SessionManager", "SeeTargetHealth"], statement.sid)
      ]
    ]))
    error_message = "a star that nobody has justified"
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(data.aws_iam_policy_document.host), [data.aws_iam_policy_document.deploy]) : [
        for statement in policy.statement : [for action in statement.actions : !strcontains(action, "*")]
      ]
    ]))
    error_message = "actions are named one by one"
  }
}

run "an_engine_reads_neither_the_gateways_secrets_nor_the_audit_bucket" {
  command = plan

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.host["engine"].statement : alltrue([
        for resource in statement.resources : !strcontains(resource, "gateway-redis") && !strcontains(resource, ":::audit")
      ])
    ])
    error_message = "an engine's policy names what is the gateway's"
  }
  assert {
    condition = !anytrue([
      for statement in data.aws_iam_policy_document.host["engine"].statement : anytrue([for action in statement.actions : startswith(action, "cloudwatch:") || startswith(action, "logs:")])
    ])
    error_message = "how many engines are wanted is not an engine's to say"
  }
}

run "a_gateway_adds_to_the_audit_bucket_and_deletes_nothing_anywhere" {
  command = plan

  assert {
    condition = !anytrue(flatten([
      for policy in data.aws_iam_policy_document.host : [for statement in policy.statement : [for action in statement.actions : strcontains(action, "Delete")]]
    ]))
    error_message = "a host may delete something"
  }
}

run "a_gateway_may_ask_what_the_audit_bucket_lacks" {
  command = plan

  # Of an object that is not there S3 says so only to those who may list, and of its lock to those who may read that.
  assert {
    condition = alltrue([
      for action in ["s3:ListBucket", "s3:GetObject", "s3:GetObjectRetention", "s3:PutObject", "s3:PutObjectRetention"] : anytrue([
        for statement in data.aws_iam_policy_document.host["gateway"].statement :
        contains(statement.actions, action) && alltrue([for resource in statement.resources : startswith(resource, "arn:aws:s3:::audit")])
        && length(statement.condition) == 0
      ])
    ])
    error_message = "copies of the decision log would never begin, or never end"
  }
}

run "without_anybody_who_may_deploy_there_is_no_such_role" {
  command = plan

  assert {
    condition     = length(aws_iam_role.deploy) == 0
    error_message = "no role for nobody"
  }
}

run "a_whole_account_may_not_deploy" {
  command = plan
  variables {
    deploy_principal_arns = ["arn:aws:iam::111122223333:root"]
  }
  expect_failures = [var.deploy_principal_arns]
}

run "a_wildcard_among_secrets_is_refused" {
  command = plan
  variables {
    secret_arns = { gateway = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:*"] }
  }
  expect_failures = [var.secret_arns]
}
