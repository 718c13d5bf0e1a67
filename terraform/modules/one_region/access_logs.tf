# Who read and wrote the other two buckets: S3's own access logs. S3 delivers them into buckets of its own encryption alone.

module "access_logs" {
  source = "../private_bucket"

  bucket           = "${var.bucket_prefix}-${var.environment}-${var.region}-access-logs"
  is_deletable     = !var.is_protected
  policy_documents = [data.aws_iam_policy_document.access_logs.json]
  lifecycle_rule   = { id = "a-year", expiration_days = 365, noncurrent_days = 30 }
  tags             = local.tags
}

data "aws_caller_identity" "here" {}

data "aws_iam_policy_document" "access_logs" {
  statement {
    sid       = "S3Delivers"
    actions   = ["s3:PutObject"]
    resources = ["${module.access_logs.arn}/*"]
    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.here.account_id]
    }
  }
}
