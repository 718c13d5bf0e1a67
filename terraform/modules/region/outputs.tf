output "autoscaling_group_name" {
  description = "The group of gateways."
  value       = aws_autoscaling_group.gateway.name
}

output "launch_template_id" {
  description = "What its hosts are made from."
  value       = aws_launch_template.gateway.id
}

output "log_group_name" {
  description = "Where gateways' logs go."
  value       = aws_cloudwatch_log_group.gateway.name
}

output "settings_text" {
  description = "The settings file of gateways. Secrets are not in it."
  value       = local.settings_text
}

output "example_environment" {
  description = "The environment that goes over it on a host, with sample values in the place of secrets: for tests that load both."
  value       = local.example_environment
}

output "user_data" {
  description = "The script that makes a host a gateway, before it is compressed. Secrets are not in it."
  value       = local.user_data
}
