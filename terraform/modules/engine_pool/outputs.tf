output "autoscaling_group_name" {
  description = "Name of the Auto Scaling group."
  value       = aws_autoscaling_group.this.name
}

output "autoscaling_group_arn" {
  description = "ARN of the Auto Scaling group."
  value       = aws_autoscaling_group.this.arn
}

output "launch_template_id" {
  description = "The launch template."
  value       = aws_launch_template.this.id
}

output "user_data" {
  description = "What a machine runs at its first start, not compressed."
  value       = local.user_data
}

output "unit" {
  description = "The systemd unit of the engine."
  value       = local.unit
}

output "environment_script" {
  description = "What writes the engine's environment before each of its starts."
  value       = local.environment_script
}
