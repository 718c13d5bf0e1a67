# What is kept, for how long, and where copies may not go.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket      = "acme-audit"
  region      = "eu-central"
  legal_area  = "eea"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
}

run "nothing_in_it_can_be_changed_for_six_years" {
  command = plan

  assert {
    condition     = module.bucket.has_object_lock && one(one(aws_s3_bucket_object_lock_configuration.this.rule).default_retention).mode == "COMPLIANCE" && one(one(aws_s3_bucket_object_lock_configuration.this.rule).default_retention).days == 2190
    error_message = "Object Lock, in the mode that nobody may bypass"
  }
  assert {
    condition     = module.bucket.expiration_days > var.retention_days
    error_message = "nothing is deleted before its retention is over"
  }
  assert {
    condition = length(setintersection(flatten([
      for statement in data.aws_iam_policy_document.bucket.statement : statement.actions if statement.effect == "Deny"
    ]), ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectRetention"])) == 3
    error_message = "its policy denies deletes, exceptions and shorter retentions"
  }
  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0
    error_message = "no copy unless one is asked for"
  }
}

run "a_copy_goes_to_another_region_of_the_legal_area" {
  command = plan
  variables {
    replica = { region = "eu-west", legal_area = "eea", bucket_arn = "arn:aws:s3:::acme-audit-west", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/2" }
  }

  assert {
    condition     = one(one(aws_s3_bucket_replication_configuration.this[0].rule).destination).bucket == "arn:aws:s3:::acme-audit-west"
    error_message = "there, and nowhere else"
  }
  assert {
    condition     = one(one(one(aws_s3_bucket_replication_configuration.this[0].rule).destination).encryption_configuration).replica_kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/2"
    error_message = "encrypted with the other region's key"
  }
  assert {
    condition     = anytrue([for statement in data.aws_iam_policy_document.replication[0].statement : contains(statement.actions, "kms:Encrypt") && statement.resources == toset([var.replica.kms_key_arn])])
    error_message = "S3 encrypts replicas with the role's leave"
  }
}

run "a_copy_beyond_the_legal_area_is_refused" {
  command         = plan
  expect_failures = [var.replica]
  variables {
    replica = { region = "us-east", legal_area = "us", bucket_arn = "arn:aws:s3:::acme-audit-us", kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/2" }
  }
}

run "a_copy_in_the_same_region_is_refused" {
  command         = plan
  expect_failures = [var.replica]
  variables {
    replica = { region = "eu-central", legal_area = "eea", bucket_arn = "arn:aws:s3:::acme-audit-2", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/2" }
  }
}
