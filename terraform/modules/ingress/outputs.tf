output "load_balancer_arn" {
  description = "Load balancer of TCP, for an accelerator."
  value       = aws_lb.tcp.arn
}

output "dns_name" {
  description = "Its name, for aliases."
  value       = aws_lb.tcp.dns_name
}

output "zone_id" {
  description = "Its zone, for aliases."
  value       = aws_lb.tcp.zone_id
}

output "quic_dns_name" {
  description = "Name of the load balancer of QUIC; null without."
  value       = one(aws_lb.quic[*].dns_name)
}

output "quic_zone_id" {
  description = "Its zone; null without."
  value       = one(aws_lb.quic[*].zone_id)
}

output "target_group_arns" {
  description = "Groups into which the Auto Scaling group of gateways puts its hosts by itself. QUIC's is not among them: it needs server ids."
  value       = concat([for group in aws_lb_target_group.door : group.arn], aws_lb_target_group.relay[*].arn)
}

output "quic_target_group_arn" {
  description = "Group into which each gateway puts itself with its server id; null without QUIC."
  value       = one([for stack in aws_cloudformation_stack.quic : stack.outputs["TargetGroupArn"]])
}

output "quic_target_group_name" {
  description = "Its name, for the role of gateways; null without QUIC."
  value       = var.has_quic ? local.quic_target_group_name : null
}

output "relay_address" {
  description = "Where linked regions reach the relay, for the catalog; null without."
  value       = var.has_relay ? "relay.${var.private_zone_name}:${var.ports.relay}" : null
}

output "tls_ends_at" {
  description = "Where TLS over TCP ends."
  value       = var.tls_ends_at
}

output "has_proxy_protocol" {
  description = "Whether gateways must ask for PROXY headers."
  value       = var.has_proxy_protocol
}

output "least_announce_ms" {
  description = "For so long at least a gateway must say no at /readyz before it refuses sessions."
  value       = 1000 * var.health.interval_s * (var.health.unhealthy + 1)
}
