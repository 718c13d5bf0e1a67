# Keys of one region, one for each purpose. None is a multi-region key: its material never leaves the region, so what was
# encrypted here cannot be read elsewhere, whoever copies it.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  tags    = merge({ PatchbayRegion = var.region }, var.tags)
  account = data.aws_caller_identity.current.account_id
  root    = "arn:${data.aws_partition.current.partition}:iam::${local.account}:root"

  purposes = {
    data    = "Volumes, Redis, artifacts"
    secrets = "Secrets Manager"
    audit   = "Copies of the decision log"
    logs    = "CloudWatch Logs"
  }

  administration = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
    "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListKeyRotations", "kms:ListResourceTags",
    "kms:PutKeyPolicy", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
    "kms:UpdateAlias", "kms:UpdateKeyDescription",
  ]
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:In the policy of a key, * is this key and no other resource
  #checkov:skip=CKV_AWS_111:In the policy of a key, * is this key and no other resource
  #checkov:skip=CKV_AWS_356:In the policy of a key, * is this key and no other resource
  for_each = local.purposes

  # Without it IAM policies of the account would count for nothing, and a key could become nobody's. In a key policy `*` is
  # this key.
  statement {
    sid       = "AccountDecidesByIam"
    actions   = length(var.administrator_arns) == 0 ? ["kms:*"] : ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey", "kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  dynamic "statement" {
    for_each = length(var.administrator_arns) > 0 ? [var.administrator_arns] : []

    content {
      sid       = "AdministratorsDoNotUse"
      actions   = local.administration
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []

    content {
      sid       = "LogsOfThisRegion"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      resources = ["*"]

      principals {
        type        = "Service"
        identifiers = ["logs.${data.aws_region.current.id}.amazonaws.com"]
      }

      condition {
        test     = "ArnLike"
        variable = "kms:EncryptionContext:aws:logs:arn"
        values   = ["arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.id}:${local.account}:log-group:/patchbay/*"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "data" && var.has_autoscaling_role ? [1] : []

    content {
      sid       = "AutoScalingStartsHosts"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = [local.autoscaling_role]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "data" && var.has_autoscaling_role ? [1] : []

    content {
      sid       = "AutoScalingLendsToVolumes"
      actions   = ["kms:CreateGrant"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = [local.autoscaling_role]
      }

      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
    }
  }
}

locals {
  autoscaling_role = "arn:${data.aws_partition.current.partition}:iam::${local.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
}

resource "aws_kms_key" "this" {
  for_each = local.purposes

  description             = "${each.value} of Patchbay in ${var.region}"
  policy                  = data.aws_iam_policy_document.key[each.key].json
  enable_key_rotation     = true
  rotation_period_in_days = var.rotation_days
  deletion_window_in_days = var.deletion_window_days
  multi_region            = false
  tags                    = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_kms_alias" "this" {
  for_each = local.purposes

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
