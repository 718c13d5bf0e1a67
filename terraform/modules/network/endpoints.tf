# AWS services inside the network, each with the actions that hosts use there and none beside.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  endpoint_actions = {
    autoscaling          = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:SetInstanceHealth", "autoscaling:DescribeAutoScalingInstances"]
    ec2messages          = ["ec2messages:*"]
    elasticloadbalancing = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DescribeTargetHealth"]
    kms                  = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
    logs                 = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    monitoring           = ["cloudwatch:PutMetricData"]
    secretsmanager       = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    ssm                  = ["ssm:*"]
    ssmmessages          = ["ssmmessages:*"]
    sts                  = ["sts:GetCallerIdentity", "sts:AssumeRole"]
  }
}

data "aws_iam_policy_document" "interface_endpoint" {
  for_each = var.interface_endpoints

  statement {
    sid       = "OwnAccountOnly"
    actions   = local.endpoint_actions[each.key]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.id}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  policy              = data.aws_iam_policy_document.interface_endpoint[each.key].json
  tags                = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

data "aws_iam_policy_document" "s3_endpoint" {
  dynamic "statement" {
    for_each = length(var.s3_bucket_arns) > 0 ? [var.s3_bucket_arns] : []

    content {
      sid       = "OwnBuckets"
      actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject", "s3:GetObjectRetention", "s3:PutObjectRetention"]
      resources = concat(statement.value, [for arn in statement.value : "${arn}/*"])

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalAccount"
        values   = [data.aws_caller_identity.current.account_id]
      }
    }
  }

  # Repositories are read without credentials, so no account can be asked for.
  dynamic "statement" {
    for_each = var.has_amazon_linux_repositories ? [data.aws_region.current.id] : []

    content {
      sid       = "PackagesOfAmazonLinux"
      actions   = ["s3:GetObject"]
      resources = ["arn:${data.aws_partition.current.partition}:s3:::al2023-repos-${statement.value}-de612dc2/*"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }
    }
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.id}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]
  policy            = data.aws_iam_policy_document.s3_endpoint.json
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}
