# Three regions in two legal areas. Callers of one area are never sent to the other: names, latency records, links,
# copies of the decision log and accelerators stay inside an area, and each area's gateways have a catalog of their own.

locals {
  regions = module.legal_areas.regions
  areas   = module.legal_areas.areas

  # Regions of an area, and of those that it may be linked with.
  reach = {
    for area, facts in local.areas : area => sort(distinct(concat(facts.region_names, flatten([
      for pair in var.permitted_area_pairs : [for other in pair : local.areas[other].region_names] if contains(pair, area)
    ]))))
  }

  built = {
    eu-central = module.eu_central
    eu-west    = module.eu_west
    us-east    = module.us_east
  }

  # One by one, and not of `built`: that is there once all of each region is, and no gateway starts without its catalog,
  # for which Terraform would wait until it gives up.
  catalog_entries = {
    eu-central = module.eu_central.catalog_entry
    eu-west    = module.eu_west.catalog_entry
    us-east    = module.us_east.catalog_entry
  }

  residency = {
    for area, names in local.reach : area => {
      profiles = { (area) = local.areas[area].region_names }
      default  = local.areas[area].region_names
    }
  }

  is_linked = { for name, region in local.regions : name => length(region.peers) > 0 }
}

module "legal_areas" {
  source = "../../modules/legal_areas"

  domain               = var.domain
  legal_areas          = var.legal_areas
  permitted_area_pairs = var.permitted_area_pairs
  accelerators         = var.accelerators
  links                = [{ from = "eu-central", to = "eu-west" }]

  regions = {
    for name, region in var.regions : name => {
      aws_region    = region.aws_region
      jurisdictions = region.jurisdictions
      legal_area    = region.legal_area
      cidr          = region.cidr
    }
  }
}

module "eu_central" {
  source    = "../../modules/one_region"
  providers = { aws = aws.eu_central }

  name                  = "patchbay-${var.environment}-eu-central"
  environment           = var.environment
  region                = "eu-central"
  facts                 = local.regions["eu-central"]
  operator              = var.operator
  availability_zones    = var.regions["eu-central"].availability_zones
  gateways              = var.regions["eu-central"].gateways
  pools                 = var.regions["eu-central"].pools
  has_links             = local.is_linked["eu-central"]
  makes_area_records    = true
  audit_replica         = local.audit_copies["eu-central"]
  residency             = var.policy == null ? local.residency[local.regions["eu-central"].legal_area] : null
  policy                = var.policy
  zone_id               = var.zone_id
  bucket_prefix         = var.bucket_prefix
  releases              = var.releases
  nat_gateways          = var.nat_gateways
  has_quic              = var.has_quic
  redis                 = var.redis
  audit                 = var.audit
  issuers               = var.issuers
  requires_grants       = var.requires_grants
  deploy_principal_arns = var.deploy_principal_arns
  is_protected          = var.is_protected
}

module "eu_west" {
  source    = "../../modules/one_region"
  providers = { aws = aws.eu_west }

  name                  = "patchbay-${var.environment}-eu-west"
  environment           = var.environment
  region                = "eu-west"
  facts                 = local.regions["eu-west"]
  operator              = var.operator
  availability_zones    = var.regions["eu-west"].availability_zones
  gateways              = var.regions["eu-west"].gateways
  pools                 = var.regions["eu-west"].pools
  has_links             = local.is_linked["eu-west"]
  makes_area_records    = false
  audit_replica         = local.audit_copies["eu-west"]
  residency             = var.policy == null ? local.residency[local.regions["eu-west"].legal_area] : null
  policy                = var.policy
  zone_id               = var.zone_id
  bucket_prefix         = var.bucket_prefix
  releases              = var.releases
  nat_gateways          = var.nat_gateways
  has_quic              = var.has_quic
  redis                 = var.redis
  audit                 = var.audit
  issuers               = var.issuers
  requires_grants       = var.requires_grants
  deploy_principal_arns = var.deploy_principal_arns
  is_protected          = var.is_protected
}

module "us_east" {
  source    = "../../modules/one_region"
  providers = { aws = aws.us_east }

  name                  = "patchbay-${var.environment}-us-east"
  environment           = var.environment
  region                = "us-east"
  facts                 = local.regions["us-east"]
  operator              = var.operator
  availability_zones    = var.regions["us-east"].availability_zones
  gateways              = var.regions["us-east"].gateways
  pools                 = var.regions["us-east"].pools
  has_links             = local.is_linked["us-east"]
  makes_area_records    = true
  audit_replica         = local.audit_copies["us-east"]
  residency             = var.policy == null ? local.residency[local.regions["us-east"].legal_area] : null
  policy                = var.policy
  zone_id               = var.zone_id
  bucket_prefix         = var.bucket_prefix
  releases              = var.releases
  nat_gateways          = var.nat_gateways
  has_quic              = var.has_quic
  redis                 = var.redis
  audit                 = var.audit
  issuers               = var.issuers
  requires_grants       = var.requires_grants
  deploy_principal_arns = var.deploy_principal_arns
  is_protected          = var.is_protected
}
