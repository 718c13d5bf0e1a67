# Whatever a bucket is for: nobody outside reaches it, and nothing in it is lost by a mistake.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket         = "acme-patchbay-test-eu-west-artifacts"
  kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/1"
  lifecycle_rule = { id = "earlier-versions", noncurrent_days = 90 }
}

run "nobody_outside_reaches_it" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "no ACL and no policy opens it"
  }
  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "no object in it belongs to somebody else"
  }
  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.this.statement : statement.effect == "Deny" && statement.actions == toset(["s3:*"]) &&
      one(statement.principals).identifiers == toset(["*"]) && one(statement.condition).variable == "aws:SecureTransport" && one(statement.condition).values == tolist(["false"])
    ])
    error_message = "without TLS everything is denied to everybody"
  }
}

run "what_it_holds_is_encrypted_with_its_key_and_has_versions" {
  command = plan

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
    error_message = "encrypted with the key that was given"
  }
  assert {
    condition     = one(aws_s3_bucket_versioning.this.versioning_configuration).status == "Enabled"
    error_message = "what is written over can be had back"
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy && length(one(aws_s3_bucket_lifecycle_configuration.this.rule).expiration) == 0
    error_message = "nothing goes by itself unless that is asked for"
  }
}

run "a_bucket_of_access_logs_has_the_encryption_that_s3_delivers_to" {
  command = plan
  variables {
    kms_key_arn    = null
    lifecycle_rule = { id = "a-year", expiration_days = 365, noncurrent_days = 30 }
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "S3's own encryption"
  }
  assert {
    condition     = one(one(aws_s3_bucket_lifecycle_configuration.this.rule).expiration).days == 365
    error_message = "and an end"
  }
  assert {
    condition     = length(aws_s3_bucket_logging.this) == 0
    error_message = "it does not log itself"
  }
}

run "what_its_user_says_more_stands_in_the_same_policy" {
  command = plan
  variables {
    policy_documents = ["{\"Version\":\"2012-10-17\",\"Statement\":[]}"]
    log_bucket       = "acme-patchbay-test-eu-west-access-logs"
  }

  assert {
    condition     = data.aws_iam_policy_document.this.source_policy_documents == tolist(var.policy_documents) && length(data.aws_iam_policy_document.this.statement) == 1
    error_message = "a bucket has one policy: its user's statements, and the one about TLS"
  }
  assert {
    condition     = aws_s3_bucket_logging.this[0].target_bucket == "acme-patchbay-test-eu-west-access-logs"
    error_message = "who reads it is written down there"
  }
}

run "a_locked_bucket_cannot_be_one_that_a_destroy_empties" {
  command         = plan
  expect_failures = [var.is_deletable]
  variables {
    has_object_lock = true
    is_deletable    = true
  }
}

run "a_name_that_s3_or_tls_would_refuse_is_refused" {
  command         = plan
  expect_failures = [var.bucket]
  variables {
    bucket = "acme.patchbay"
  }
}
