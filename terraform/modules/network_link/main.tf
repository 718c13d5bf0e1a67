# A link between the networks of two regions: peering, routes on both sides, and each other's private names.

locals {
  tags = merge({ PatchbayLink = "${var.near.region}--${var.far.region}" }, var.tags)
}

resource "aws_vpc_peering_connection" "this" {
  provider = aws.near

  vpc_id        = var.near.vpc_id
  peer_vpc_id   = var.far.vpc_id
  peer_region   = var.far.aws_region
  peer_owner_id = var.far_account_id
  auto_accept   = false
  tags          = merge(local.tags, { Name = "${var.name}-${var.near.region}-${var.far.region}" })
}

resource "aws_vpc_peering_connection_accepter" "this" {
  provider = aws.far

  vpc_peering_connection_id = aws_vpc_peering_connection.this.id
  auto_accept               = true
  tags                      = merge(local.tags, { Name = "${var.name}-${var.near.region}-${var.far.region}" })
}

# Only private subnets get routes; Redis and load balancers of clients are not reachable over the link.
resource "aws_route" "near" {
  provider = aws.near
  count    = length(var.near.route_table_ids)

  route_table_id            = var.near.route_table_ids[count.index]
  destination_cidr_block    = var.far.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route" "far" {
  provider = aws.far
  count    = length(var.far.route_table_ids)

  route_table_id            = var.far.route_table_ids[count.index]
  destination_cidr_block    = var.near.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route53_zone_association" "near_resolves_far" {
  provider = aws.far

  zone_id    = var.far.private_zone_id
  vpc_id     = var.near.vpc_id
  vpc_region = var.near.aws_region
}

resource "aws_route53_zone_association" "far_resolves_near" {
  provider = aws.near

  zone_id    = var.near.private_zone_id
  vpc_id     = var.far.vpc_id
  vpc_region = var.far.aws_region
}
