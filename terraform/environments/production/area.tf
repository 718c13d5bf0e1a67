# What regions of one legal area have together: links, names, accelerators, copies of each other's decision log.

locals {
  # Each region's log is copied to the other region of its area. An area of one region has no second one: its log has the
  # copy in its own region's bucket alone.
  audit_copies = {
    eu-central = {
      region      = module.eu_west.audit_bucket.region
      legal_area  = module.eu_west.audit_bucket.legal_area
      bucket_arn  = module.eu_west.audit_bucket.bucket_arn
      kms_key_arn = module.eu_west.audit_bucket.kms_key_arn
    }
    eu-west = {
      region      = module.eu_central.audit_bucket.region
      legal_area  = module.eu_central.audit_bucket.legal_area
      bucket_arn  = module.eu_central.audit_bucket.bucket_arn
      kms_key_arn = module.eu_central.audit_bucket.kms_key_arn
    }
    us-east = null
  }
}

module "link" {
  source    = "../../modules/network_link"
  providers = { aws.near = aws.eu_central, aws.far = aws.eu_west }

  name                 = "patchbay-${var.environment}"
  near                 = module.eu_central.link_end
  far                  = module.eu_west.link_end
  permitted_area_pairs = var.permitted_area_pairs
}

# Route 53 is no regional service: any provider will do.
module "names" {
  source    = "../../modules/dns"
  for_each  = local.areas
  providers = { aws = aws.eu_central }

  zone_id        = var.zone_id
  legal_area     = each.key
  host_name      = each.value.host_name
  quic_host_name = var.has_quic ? each.value.quic_host_name : null
  regions        = { for name in each.value.region_names : name => local.built[name].load_balancers }
}

module "accelerator" {
  source    = "../../modules/accelerator"
  for_each  = module.legal_areas.accelerators
  providers = { aws = aws.us_east }

  name       = "patchbay-${var.environment}-${each.key}"
  legal_area = each.value.legal_area
  endpoints = {
    for name in each.value.region_names : name => {
      aws_region        = local.regions[name].aws_region
      legal_area        = local.regions[name].legal_area
      load_balancer_arn = local.built[name].load_balancer_arn
    }
  }
}
