output "role_arns" {
  description = "Roles: gateway, engine, exporter, and deploy where somebody may take it."
  value = merge(
    { for kind, role in aws_iam_role.host : kind => role.arn },
    { for role in aws_iam_role.deploy : "deploy" => role.arn },
  )
}

output "instance_profile_arns" {
  description = "Instance profiles: gateway, engine, exporter. They are usable once their policies stand."
  value       = { for kind, profile in aws_iam_instance_profile.host : kind => profile.arn }

  # A host that starts before it may read its secrets would fail its first start.
  depends_on = [aws_iam_role_policy.host]
}

output "instance_profile_names" {
  description = "Their names."
  value       = { for kind, profile in aws_iam_instance_profile.host : kind => profile.name }
  depends_on  = [aws_iam_role_policy.host]
}
