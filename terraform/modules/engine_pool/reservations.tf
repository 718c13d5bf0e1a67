# Capacity that is held for this pool alone: reservations that only a machine which names their group may use.

data "aws_ec2_instance_type_offerings" "zones" {
  count = local.makes_reservations ? 1 : 0

  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [local.instance_types[0]]
  }
}

resource "aws_ec2_capacity_reservation" "this" {
  for_each = var.reservations.instances_by_zone

  availability_zone       = each.key
  instance_type           = local.instance_types[0]
  instance_count          = each.value
  instance_platform       = "Linux/UNIX"
  instance_match_criteria = "targeted"
  end_date_type           = "unlimited"
  ebs_optimized           = true
  tags                    = local.tags

  lifecycle {
    precondition {
      condition     = contains(data.aws_ec2_instance_type_offerings.zones[0].locations, each.key)
      error_message = "${each.key} has no ${local.instance_types[0]} to reserve: name a zone that has it, or another type first."
    }
  }
}

resource "aws_resourcegroups_group" "reservations" {
  count = local.makes_reservations ? 1 : 0

  name        = "${local.group_name}-reservations"
  description = "Capacity reservations of the pool ${var.pool} of ${var.region}"
  tags        = local.tags

  configuration {
    type = "AWS::EC2::CapacityReservationPool"
  }
  configuration {
    type = "AWS::ResourceGroups::Generic"
    parameters {
      name   = "allowed-resource-types"
      values = ["AWS::EC2::CapacityReservation"]
    }
  }
}

resource "aws_resourcegroups_resource" "reservation" {
  for_each = var.reservations.instances_by_zone

  group_arn    = aws_resourcegroups_group.reservations[0].arn
  resource_arn = aws_ec2_capacity_reservation.this[each.key].arn
}
