output "host_name" {
  description = "The area's name."
  value       = var.host_name
}

output "health_check_ids" {
  description = "Health checks by region, for alarms."
  value       = { for name, check in aws_route53_health_check.region : name => check.id }
}
