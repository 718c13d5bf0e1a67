output "dns_name" {
  description = "Its name."
  value       = aws_globalaccelerator_accelerator.this.dns_name
}

output "zone_id" {
  description = "Its zone, for aliases."
  value       = aws_globalaccelerator_accelerator.this.hosted_zone_id
}
