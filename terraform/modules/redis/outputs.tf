output "host" {
  description = "Address of the primary, whichever node that is."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Its port, which speaks TLS alone."
  value       = aws_elasticache_replication_group.this.port
}

output "users" {
  description = "For gateways and for engines: the user's name, and the secret with its newest password, once Redis takes it."
  value       = { for user, name in module.users.names : user => { name = name, secret_arn = module.users.secret_arns[user] } }
}

output "readable_secret_arns" {
  description = "Secrets with all passwords of each user that are good."
  value       = module.users.readable_secret_arns
}
