# The network of one region: public subnets for load balancers, private ones for hosts, closed ones for Redis.

data "aws_region" "current" {}

locals {
  zones = { for place, zone in var.availability_zones : zone => place }
  tags  = merge({ PatchbayRegion = var.region }, var.tags)

  # The lower half for hosts, four blocks each of the upper half's first quarter for Redis and for load balancers.
  private_cidrs = { for zone, place in local.zones : zone => cidrsubnet(var.cidr, 3, place) }
  data_cidrs    = { for zone, place in local.zones : zone => cidrsubnet(var.cidr, 5, 16 + place) }
  public_cidrs  = { for zone, place in local.zones : zone => cidrsubnet(var.cidr, 5, 20 + place) }

  nat_zones = { none = [], one = slice(var.availability_zones, 0, 1), every_zone = var.availability_zones }[var.nat_gateways]
}

resource "aws_vpc" "this" {
  cidr_block                       = var.cidr
  enable_dns_support               = true
  enable_dns_hostnames             = true
  assign_generated_ipv6_cidr_block = var.has_ipv6
  tags                             = merge(local.tags, { Name = var.name })

  lifecycle {
    precondition {
      # Local zones have longer names, and some of them stand in other countries: us-east-1-bue-1a is Buenos Aires.
      condition     = alltrue([for zone in var.availability_zones : can(regex("^${data.aws_region.current.id}[a-z]$", zone))])
      error_message = "availability_zones must be availability zones of ${data.aws_region.current.id}, the region of this module's provider, and no local zones."
    }
  }
}

# Whatever is started without a security group of its own gets this one: it lets nothing in and nothing out.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = var.name })
}

resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.public_cidrs[each.key]
  ipv6_cidr_block         = var.has_ipv6 ? cidrsubnet(aws_vpc.this.ipv6_cidr_block, 8, each.value) : null
  map_public_ip_on_launch = false
  tags                    = merge(local.tags, { Name = "${var.name}-public-${each.key}" })
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.private_cidrs[each.key]
  map_public_ip_on_launch = false
  tags                    = merge(local.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_subnet" "data" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.data_cidrs[each.key]
  map_public_ip_on_launch = false
  tags                    = merge(local.tags, { Name = "${var.name}-data-${each.key}" })
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "public_ipv4" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route" "public_ipv6" {
  count = var.has_ipv6 ? 1 : 0

  route_table_id              = aws_route_table.public.id
  destination_ipv6_cidr_block = "::/0"
  gateway_id                  = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = local.zones

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

# One table for each zone, so that each can have its own NAT gateway. Links add their routes to these.
resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

# No route but the network's own.
resource "aws_route_table" "data" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-data" })
}

resource "aws_route_table_association" "data" {
  for_each = local.zones

  subnet_id      = aws_subnet.data[each.key].id
  route_table_id = aws_route_table.data.id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"
  tags   = merge(local.tags, { Name = "${var.name}-nat-${each.key}" })
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "private_nat" {
  for_each = var.nat_gateways == "none" ? {} : local.zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat_gateways == "one" ? local.nat_zones[0] : each.key].id
}

# Names of this region for itself and for linked regions. A region that is not linked cannot even resolve them.
resource "aws_route53_zone" "private" {
  name    = "${var.region}.${var.private_domain}"
  comment = "Addresses of ${var.region} for the regions that are linked with it"
  tags    = local.tags

  vpc {
    vpc_id = aws_vpc.this.id
  }

  lifecycle {
    # Links associate the networks of other regions.
    ignore_changes = [vpc]
  }
}
