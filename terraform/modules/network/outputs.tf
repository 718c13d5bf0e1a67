output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Its IPv4 range."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "For load balancers, in the order of availability_zones."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]

  # AWS refuses a public load balancer in a network without a way to the internet.
  depends_on = [aws_route.public_ipv4, aws_route.public_ipv6, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "For gateways and engines, in the order of availability_zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]

  # Hosts install from S3 and read secrets at their first start, and answer hooks at their end: the ways there must stand
  # before they come, and until they are gone.
  depends_on = [
    aws_route_table_association.private, aws_route.private_nat, aws_vpc_endpoint.s3, aws_vpc_endpoint.interface,
    aws_vpc_security_group_ingress_rule.between, aws_vpc_security_group_egress_rule.between, aws_vpc_security_group_egress_rule.s3,
  ]
}

output "data_subnet_ids" {
  description = "For Redis: no route leads out of them. In the order of availability_zones."
  value       = [for zone in var.availability_zones : aws_subnet.data[zone].id]
}

output "public_cidrs" {
  description = "Ranges of the public subnets, by zone: the addresses of load balancers lie in them."
  value       = local.public_cidrs
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets, in the order of availability_zones. Links add to them."
  value       = [for zone in var.availability_zones : aws_route_table.private[zone].id]
}

output "security_group_ids" {
  description = "Groups by what they are for: ingress, relay_ingress, gateways, engines, redis, endpoints."
  value       = { for use, group in aws_security_group.this : use => group.id }
}

output "private_zone_id" {
  description = "Private zone of the region."
  value       = aws_route53_zone.private.zone_id
}

output "private_zone_name" {
  description = "Its name, `REGION.PRIVATE_DOMAIN`."
  value       = "${var.region}.${var.private_domain}"
}

output "ports" {
  description = "Ports as they are in force, for the modules that listen there."
  value       = var.ports
}

output "client_cidrs" {
  description = "Networks from which clients come."
  value       = var.client_cidrs
}
