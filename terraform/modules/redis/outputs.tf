output "host" {
  description = "Address of the primary, whichever node that is."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Its port, which speaks TLS alone."
  value       = aws_elasticache_replication_group.this.port
}

output "users" {
  description = "Names of its users."
  value       = { gateway = "gateway", engine = "engine" }
}

output "access_strings" {
  description = "What its users may do, as Redis writes it."
  value       = local.users
}

output "auth_secret_arn" {
  description = "Secret with the password of the user gateway."
  value       = aws_secretsmanager_secret.this["gateway"].arn
}

output "engine_auth_secret_arn" {
  description = "Secret with the password of the user engine."
  value       = aws_secretsmanager_secret.this["engine"].arn
}
