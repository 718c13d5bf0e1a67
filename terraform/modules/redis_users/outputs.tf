output "user_ids" {
  description = "Of all users, with that which may do nothing, once they are there."
  value       = values(local.user_ids)
  depends_on  = [aws_cloudformation_stack.this, aws_elasticache_user.default]
}

output "names" {
  description = "What gateways and engines call themselves."
  value       = { for user in keys(local.users) : user => user }
}

output "access_strings" {
  description = "What they may do, as Redis writes it."
  value       = local.users
}

output "secret_arns" {
  description = "Secret with the newest password of each user, which Redis takes by then."
  value       = { for user, secrets in local.secrets : user => aws_cloudformation_stack.this.outputs[secrets[0]] }
}

output "readable_secret_arns" {
  description = "Secrets with all passwords of each user that are good: hosts of before read the older one."
  value       = { for user, secrets in local.secrets : user => [for secret in secrets : aws_cloudformation_stack.this.outputs[secret]] }
}
