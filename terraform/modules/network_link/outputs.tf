output "peering_connection_id" {
  description = "The link."
  value       = aws_vpc_peering_connection_accepter.this.id
}
