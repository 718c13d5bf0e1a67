# A certificate of ACM in one region, for the names under which clients come to it. ACM renews it as long as its records stand.

locals {
  validated = var.validation_names == null ? toset(var.names) : var.validation_names
  options   = { for option in aws_acm_certificate.this.domain_validation_options : option.domain_name => option }
}

resource "aws_acm_certificate" "this" {
  domain_name               = var.names[0]
  subject_alternative_names = slice(var.names, 1, length(var.names))
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = var.tags

  options {
    certificate_transparency_logging_preference = "ENABLED"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = local.validated

  zone_id = var.zone_id
  name    = local.options[each.key].resource_record_name
  type    = local.options[each.key].resource_record_type
  records = [local.options[each.key].resource_record_value]
  ttl     = 300
}

# Waits until ACM has seen the records; those of shared names may come from another region's call.
resource "aws_acm_certificate_validation" "this" {
  certificate_arn = aws_acm_certificate.this.arn

  depends_on = [aws_route53_record.validation]
}
