# Who may open connections to whom. Groups name each other; addresses stand only where no group can: clients, linked
# regions, monitoring, and the load balancer of QUIC, which can have no group.

locals {
  groups = {
    ingress       = "Load balancer of TCP: clients in, gateways out"
    relay_ingress = "Load balancer of the relay: linked regions in, gateways out"
    gateways      = "Gateways"
    engines       = "Engines: only gateways reach them"
    redis         = "Redis: gateways and engines"
    endpoints     = "Endpoints of AWS services"
  }

  # From group to group. `health` is the admin port, which load balancers ask for /readyz and never forward to.
  between = {
    ingress_http         = { from = "ingress", to = "gateways", protocol = "tcp", first = var.ports.http, last = var.ports.http }
    ingress_grpc         = { from = "ingress", to = "gateways", protocol = "tcp", first = var.ports.grpc, last = var.ports.grpc }
    ingress_health       = { from = "ingress", to = "gateways", protocol = "tcp", first = var.ports.admin, last = var.ports.admin }
    relay_ingress_relay  = { from = "relay_ingress", to = "gateways", protocol = "tcp", first = var.ports.relay, last = var.ports.relay }
    relay_ingress_health = { from = "relay_ingress", to = "gateways", protocol = "tcp", first = var.ports.admin, last = var.ports.admin }
    gateways_engines     = { from = "gateways", to = "engines", protocol = "tcp", first = var.ports.engine_from, last = var.ports.engine_to }
    gateways_redis       = { from = "gateways", to = "redis", protocol = "tcp", first = var.ports.redis, last = var.ports.redis }
    engines_redis        = { from = "engines", to = "redis", protocol = "tcp", first = var.ports.redis, last = var.ports.redis }
    gateways_endpoints   = { from = "gateways", to = "endpoints", protocol = "tcp", first = 443, last = 443 }
    engines_endpoints    = { from = "engines", to = "endpoints", protocol = "tcp", first = 443, last = 443 }
  }

  client_ports = {
    ingress_http = { to = "ingress", protocol = "tcp", port = var.ports.public_http, is_there = true }
    ingress_grpc = { to = "ingress", protocol = "tcp", port = var.ports.public_grpc, is_there = true }
    quic         = { to = "gateways", protocol = "udp", port = var.ports.webtransport, is_there = var.has_quic }
  }
  from_networks = merge(
    merge([for rule, port in local.client_ports : {
      for network in var.client_cidrs : "clients ${rule} ${network}" => { to = port.to, protocol = port.protocol, port = port.port, network = network }
      if port.is_there && !(port.protocol == "udp" && strcontains(network, ":"))
    }]...),
    merge([for port in [var.ports.admin, var.ports.metering] : {
      for network in var.monitoring_cidrs : "monitoring ${port} ${network}" => { to = "gateways", protocol = "tcp", port = port, network = network }
    }]...),
    { for region, network in var.peer_cidrs : "relay ${region}" => { to = "relay_ingress", protocol = "tcp", port = var.ports.relay, network = network } },
    # The load balancer of QUIC asks for /readyz from its own addresses in the public subnets.
    { for zone, network in local.public_cidrs : "quic health ${zone}" => { to = "gateways", protocol = "tcp", port = var.ports.admin, network = network } if var.has_quic },
  )
  to_networks = merge(
    { for region, network in var.peer_cidrs : "relay ${region}" => { from = "gateways", protocol = "tcp", port = var.ports.relay, network = network } },
    # Keys of token issuers, receivers of usage events.
    { for network in ["0.0.0.0/0"] : "internet" => { from = "gateways", protocol = "tcp", port = 443, network = network } if var.nat_gateways != "none" },
  )
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:Other modules attach them: ingress, region, engine_pool, redis
  for_each = local.groups

  # With an end of AWS's own: one that takes another's place stands beside it for a while.
  name_prefix = "${var.name}-${replace(each.key, "_", "-")}-"
  description = each.value
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = "${var.name}-${replace(each.key, "_", "-")}" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "between" {
  for_each = local.between

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = "${each.value.to} from ${each.value.from}"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.first
  to_port                      = each.value.last
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "between" {
  for_each = local.between

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = "${each.value.from} to ${each.value.to}"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.first
  to_port                      = each.value.last
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "from_networks" {
  for_each = local.from_networks

  security_group_id = aws_security_group.this[each.value.to].id
  description       = each.key
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = strcontains(each.value.network, ":") ? null : each.value.network
  cidr_ipv6         = strcontains(each.value.network, ":") ? each.value.network : null
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "to_networks" {
  for_each = local.to_networks

  security_group_id = aws_security_group.this[each.value.from].id
  description       = each.key
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.network
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = toset(["gateways", "engines"])

  security_group_id = aws_security_group.this[each.key].id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  description       = "${each.key} to S3 through its endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}
