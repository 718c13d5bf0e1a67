# A copy of every object in another region of the same legal area; variables.tf refuses any other.

data "aws_iam_policy_document" "assume" {
  count = var.replica == null ? 0 : 1

  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "replication" {
  count = var.replica == null ? 0 : 1

  statement {
    sid       = "ReadHere"
    actions   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    resources = [module.bucket.arn]
  }
  statement {
    sid = "ReadObjectsHere"
    actions = [
      "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
      "s3:GetObjectRetention", "s3:GetObjectLegalHold",
    ]
    resources = ["${module.bucket.arn}/*"]
  }
  statement {
    sid       = "WriteThere"
    actions   = ["s3:ReplicateObject", "s3:ReplicateTags"]
    resources = ["${var.replica.bucket_arn}/*"]
  }
  statement {
    sid       = "DecryptHere"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]
  }
  statement {
    sid       = "EncryptThere"
    actions   = ["kms:Encrypt", "kms:GenerateDataKey"]
    resources = [var.replica.kms_key_arn]
  }
}

resource "aws_iam_role" "replication" {
  count = var.replica == null ? 0 : 1

  name               = "${var.bucket}-replication"
  assume_role_policy = data.aws_iam_policy_document.assume[0].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "replication" {
  count = var.replica == null ? 0 : 1

  name   = "replication"
  role   = aws_iam_role.replication[0].id
  policy = data.aws_iam_policy_document.replication[0].json
}

resource "aws_s3_bucket_replication_configuration" "this" {
  count = var.replica == null ? 0 : 1

  bucket = module.bucket.ready.bucket
  role   = aws_iam_role.replication[0].arn

  rule {
    id       = var.replica.region
    priority = 0
    status   = "Enabled"
    filter {}

    # A marker that says "deleted" here says nothing there.
    delete_marker_replication {
      status = "Disabled"
    }
    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }
    destination {
      bucket = var.replica.bucket_arn
      encryption_configuration {
        replica_kms_key_id = var.replica.kms_key_arn
      }
      metrics {
        status = "Enabled"
        event_threshold {
          minutes = 15
        }
      }
      replication_time {
        status = "Enabled"
        time {
          minutes = 15
        }
      }
    }
  }
}
