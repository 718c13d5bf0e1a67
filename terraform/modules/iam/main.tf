# Roles of one region's hosts, and of whoever rolls out releases.
#
# Resources are named one by one. `*` stands only where AWS knows no resource for an action: cloudwatch:PutMetricData (bound
# to our namespace), Describe calls of Auto Scaling and of load balancers, and the channels of Session Manager.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  tags      = merge({ PatchbayRegion = var.region }, var.tags)
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  here      = "${data.aws_region.current.id}:${local.account}"

  hosts = toset(["gateway", "engine", "exporter"])

  groups_arn = {
    gateway = ["arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${var.name}-gateway"]
    engine  = ["arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${var.name}-engine-*"]
  }

  # What each kind of host reads of the artifact bucket.
  artifact_prefixes = {
    gateway  = ["releases/*", "catalog/*", "config/*"]
    engine   = ["releases/*", "models/*", "config/keys/*"]
    exporter = ["releases/*", "config/*"]
  }

  # Folders of which a host must see what is in them, because it keeps a copy.
  listed_prefixes = { gateway = ["config/*"], engine = ["config/keys/*"], exporter = [] }
}

data "aws_iam_policy_document" "host_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "host" {
  for_each = local.hosts

  name                 = "${var.name}-${each.key}"
  description          = "Hosts of Patchbay's ${each.key} processes in ${var.region}"
  assume_role_policy   = data.aws_iam_policy_document.host_trust.json
  permissions_boundary = var.permissions_boundary_arn
  max_session_duration = 3600
  tags                 = local.tags
}

resource "aws_iam_instance_profile" "host" {
  for_each = local.hosts

  name = "${var.name}-${each.key}"
  role = aws_iam_role.host[each.key].name
  tags = local.tags
}

resource "aws_iam_role_policy" "host" {
  for_each = local.hosts

  name   = "host"
  role   = aws_iam_role.host[each.key].id
  policy = data.aws_iam_policy_document.host[each.key].json
}

data "aws_iam_policy_document" "host" {
  for_each = local.hosts

  statement {
    sid       = "ReadArtifacts"
    actions   = ["s3:GetObject"]
    resources = [for prefix in local.artifact_prefixes[each.key] : "${var.artifact_bucket_arn}/${prefix}"]
  }

  dynamic "statement" {
    for_each = length(local.listed_prefixes[each.key]) > 0 ? [local.listed_prefixes[each.key]] : []

    content {
      sid       = "ListConfiguration"
      actions   = ["s3:ListBucket"]
      resources = [var.artifact_bucket_arn]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = statement.value
      }
    }
  }

  statement {
    sid       = "DecryptArtifacts"
    actions   = ["kms:Decrypt"]
    resources = [var.key_arns.data]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${data.aws_region.current.id}.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = length(var.secret_arns[each.key]) > 0 ? [var.secret_arns[each.key]] : []

    content {
      sid       = "ReadSecrets"
      actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(var.secret_arns[each.key]) > 0 ? [1] : []

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [var.key_arns.secrets]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["secretsmanager.${data.aws_region.current.id}.amazonaws.com"]
      }
    }
  }

  # Engines keep their log in their journal and publish nothing: how many engines are wanted, which AWS scales by, is for
  # gateways to say.
  dynamic "statement" {
    for_each = each.key == "engine" ? [] : [1]

    content {
      sid       = "WriteLogs"
      actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      resources = ["arn:${local.partition}:logs:${local.here}:log-group:/patchbay/${var.name}/${each.key}*:*"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "engine" ? [] : [1]

    content {
      sid       = "PublishFigures"
      actions   = ["cloudwatch:PutMetricData"]
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "cloudwatch:namespace"
        values   = ["Patchbay"]
      }
    }
  }

  dynamic "statement" {
    for_each = contains(keys(local.groups_arn), each.key) ? [local.groups_arn[each.key]] : []

    content {
      sid       = "AnswerLifecycleHooks"
      actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:SetInstanceHealth"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.key == "gateway" && var.audit_bucket_arn != null ? [var.audit_bucket_arn] : []

    content {
      sid = "AddToAudit"
      # A copier asks whether an object is there, and under which lock; without GetObjectRetention S3 does not say.
      actions   = ["s3:PutObject", "s3:PutObjectRetention", "s3:GetObject", "s3:GetObjectRetention"]
      resources = ["${statement.value}/${var.region}/*"]
    }
  }

  # Without it S3 answers "forbidden" instead of "not there", and no copier would ever begin.
  dynamic "statement" {
    for_each = each.key == "gateway" && var.audit_bucket_arn != null ? [var.audit_bucket_arn] : []

    content {
      sid       = "SeeWhatAuditLacks"
      actions   = ["s3:ListBucket"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = each.key == "gateway" && var.audit_bucket_arn != null ? [1] : []

    content {
      sid       = "EncryptAudit"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [var.key_arns.audit]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${data.aws_region.current.id}.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "gateway" && var.quic_target_group_name != null ? [var.quic_target_group_name] : []

    content {
      sid       = "EnterQuicTargets"
      actions   = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
      resources = ["arn:${local.partition}:elasticloadbalancing:${local.here}:targetgroup/${statement.value}/*"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "gateway" && var.quic_target_group_name != null ? [1] : []

    content {
      sid       = "SeeTargetHealth"
      actions   = ["elasticloadbalancing:DescribeTargetHealth"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.has_session_manager ? [1] : []

    content {
      sid = "SessionManager"
      actions = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
      ]
      resources = ["*"]
    }
  }
}
