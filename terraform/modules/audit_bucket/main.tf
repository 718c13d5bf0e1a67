# Second copies of the decision log of one region (docs/audit.md): gateways add, nobody changes. Object Lock holds each
# object for its retention; a copy may go to another region of the same legal area, never beyond.

module "bucket" {
  source = "../private_bucket"

  bucket           = var.bucket
  kms_key_arn      = var.kms_key_arn
  log_bucket       = var.log_bucket
  has_object_lock  = true
  policy_documents = [data.aws_iam_policy_document.bucket.json]
  tags             = var.tags

  lifecycle_rule = {
    id = "after-retention"
    # An object becomes an earlier version when its own retention is over, and goes a while after that.
    expiration_days = var.retention_days + 1
    noncurrent_days = var.keep_days_after_retention
  }
}

resource "aws_s3_bucket_object_lock_configuration" "this" {
  bucket = module.bucket.ready.bucket

  rule {
    default_retention {
      mode = var.mode
      days = var.retention_days
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  # Versions go by the lifecycle rule alone, which no policy binds, and nobody's exception to the lock counts.
  statement {
    sid       = "NobodyDeletes"
    effect    = "Deny"
    actions   = ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
    resources = ["${module.bucket.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }

  # A writer says how long itself (retention_days of its settings), and must not say less than this bucket promises.
  statement {
    sid       = "NotShorterThanPromised"
    effect    = "Deny"
    actions   = ["s3:PutObjectRetention"]
    resources = ["${module.bucket.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "NumericLessThan"
      variable = "s3:object-lock-remaining-retention-days"
      values   = [var.retention_days - 1]
    }
  }
}
