# Who rolls out releases: puts bundles and configuration into the artifact bucket, and refreshes the groups of hosts.

data "aws_iam_policy_document" "deploy_trust" {
  count = length(var.deploy_principal_arns) > 0 ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.deploy_principal_arns
    }
  }
}

data "aws_iam_policy_document" "deploy" {
  statement {
    sid       = "PutArtifacts"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = [for prefix in ["releases/*", "models/*", "catalog/*", "config/*"] : "${var.artifact_bucket_arn}/${prefix}"]
  }

  statement {
    sid       = "EncryptArtifacts"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [var.key_arns.data]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${data.aws_region.current.id}.amazonaws.com"]
    }
  }

  statement {
    sid       = "RefreshHosts"
    actions   = ["autoscaling:StartInstanceRefresh", "autoscaling:CancelInstanceRefresh", "autoscaling:RollbackInstanceRefresh"]
    resources = concat(local.groups_arn.gateway, local.groups_arn.engine)
  }

  statement {
    sid       = "SeeHosts"
    actions   = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "deploy" {
  count = length(var.deploy_principal_arns) > 0 ? 1 : 0

  name                 = "${var.name}-deploy"
  description          = "Rolls out releases of Patchbay in ${var.region}"
  assume_role_policy   = data.aws_iam_policy_document.deploy_trust[0].json
  permissions_boundary = var.permissions_boundary_arn
  max_session_duration = 3600
  tags                 = local.tags
}

resource "aws_iam_role_policy" "deploy" {
  count = length(var.deploy_principal_arns) > 0 ? 1 : 0

  name   = "deploy"
  role   = aws_iam_role.deploy[0].id
  policy = data.aws_iam_policy_document.deploy.json
}
