# A Global Accelerator for one legal area: fixed anycast addresses that lead to the area's regions and to no others.

resource "aws_globalaccelerator_accelerator" "this" {
  name            = var.name
  ip_address_type = "IPV4"
  enabled         = true
  tags            = merge({ PatchbayLegalArea = var.legal_area }, var.tags)

  dynamic "attributes" {
    for_each = var.flow_log_bucket == null ? [] : [var.flow_log_bucket]

    content {
      flow_logs_enabled   = true
      flow_logs_s3_bucket = attributes.value
      flow_logs_s3_prefix = var.name
    }
  }
}

# TCP alone: it keeps UDP flows by addresses and ports, so a QUIC connection that migrates could land in another region.
resource "aws_globalaccelerator_listener" "tcp" {
  accelerator_arn = aws_globalaccelerator_accelerator.this.id
  protocol        = "TCP"
  client_affinity = "NONE"

  dynamic "port_range" {
    for_each = toset([for port in var.ports : tostring(port)])

    content {
      from_port = tonumber(port_range.value)
      to_port   = tonumber(port_range.value)
    }
  }
}

resource "aws_globalaccelerator_endpoint_group" "region" {
  for_each = var.endpoints

  listener_arn                  = aws_globalaccelerator_listener.tcp.id
  endpoint_group_region         = each.value.aws_region
  traffic_dial_percentage       = 100
  health_check_interval_seconds = 10
  threshold_count               = 2

  endpoint_configuration {
    endpoint_id                    = each.value.load_balancer_arn
    weight                         = 128
    client_ip_preservation_enabled = true
  }
}
