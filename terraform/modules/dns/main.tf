# Names of one legal area. Latency records choose among its regions alone, so that not even a failure of all of them leads a
# caller across the fence: Route 53 then answers as if all were well, and all it can answer lies inside.

locals {
  # Aliases of TCP by name and type, and of QUIC, which has IPv4 alone.
  types        = var.has_ipv6 ? ["A", "AAAA"] : ["A"]
  tcp_records  = { for pair in setproduct(keys(var.regions), local.types) : "${pair[0]} ${pair[1]}" => { region = pair[0], type = pair[1] } }
  quic_regions = var.quic_host_name == null ? {} : { for name, region in var.regions : name => region if region.quic_host_name != null }
}

# One health check for each region, by the name that only leads there.
resource "aws_route53_health_check" "region" {
  for_each = var.regions

  type              = "HTTPS"
  fqdn              = each.value.host_name
  port              = var.health_check.port
  resource_path     = "/readyz"
  enable_sni        = true
  request_interval  = var.health_check.interval_s
  failure_threshold = var.health_check.failures
  measure_latency   = false
  regions           = length(var.checker_regions) == 0 ? null : var.checker_regions
  tags              = merge(var.tags, { Name = each.value.host_name, PatchbayRegion = each.key })
}

# A region's own name.
resource "aws_route53_record" "region" {
  for_each = local.tcp_records

  zone_id = var.zone_id
  name    = var.regions[each.value.region].host_name
  type    = each.value.type

  alias {
    name                   = var.regions[each.value.region].dns_name
    zone_id                = var.regions[each.value.region].zone_id
    evaluate_target_health = false
  }
}

# The area's name: the region with the lowest latency from the caller's resolver, among those that are well.
resource "aws_route53_record" "area" {
  for_each = local.tcp_records

  zone_id         = var.zone_id
  name            = var.host_name
  type            = each.value.type
  set_identifier  = each.value.region
  health_check_id = aws_route53_health_check.region[each.value.region].id

  latency_routing_policy {
    region = var.regions[each.value.region].aws_region
  }

  alias {
    name                   = var.regions[each.value.region].dns_name
    zone_id                = var.regions[each.value.region].zone_id
    evaluate_target_health = true
  }
}

resource "aws_route53_record" "quic_region" {
  #checkov:skip=CKV2_AWS_23:The load balancers are made by the module ingress
  for_each = local.quic_regions

  zone_id = var.zone_id
  name    = each.value.quic_host_name
  type    = "A"

  alias {
    name                   = each.value.quic_dns_name
    zone_id                = each.value.quic_zone_id
    evaluate_target_health = false
  }
}

# Route 53 cannot ask over QUIC; the same gateways answer for it over TCP.
resource "aws_route53_record" "quic_area" {
  #checkov:skip=CKV2_AWS_23:The load balancers are made by the module ingress
  for_each = local.quic_regions

  zone_id         = var.zone_id
  name            = var.quic_host_name
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.key].id

  latency_routing_policy {
    region = each.value.aws_region
  }

  alias {
    name                   = each.value.quic_dns_name
    zone_id                = each.value.quic_zone_id
    evaluate_target_health = true
  }
}
