# The catalog file: of all regions, for people, and of each legal area, for its gateways, which fetch it from their
# region's artifact bucket.

module "catalog" {
  source = "../../modules/catalog"

  cost_reference = var.cost_reference
  regions        = local.catalog_entries
}

module "area_catalog" {
  source   = "../../modules/catalog"
  for_each = local.reach

  cost_reference = var.cost_reference
  regions        = { for name in each.value : name => local.catalog_entries[name] }
}

resource "aws_s3_object" "catalog_eu_central" {
  provider = aws.eu_central

  bucket       = module.eu_central.artifact_bucket
  key          = "catalog/catalog.toml"
  content      = module.area_catalog[local.regions["eu-central"].legal_area].text
  content_type = "application/toml"
}

resource "aws_s3_object" "catalog_eu_west" {
  provider = aws.eu_west

  bucket       = module.eu_west.artifact_bucket
  key          = "catalog/catalog.toml"
  content      = module.area_catalog[local.regions["eu-west"].legal_area].text
  content_type = "application/toml"
}

resource "aws_s3_object" "catalog_us_east" {
  provider = aws.us_east

  bucket       = module.us_east.artifact_bucket
  key          = "catalog/catalog.toml"
  content      = module.area_catalog[local.regions["us-east"].legal_area].text
  content_type = "application/toml"
}

module "budgets" {
  source    = "../../modules/budgets"
  providers = { aws = aws.us_east }

  environment     = var.environment
  monthly_limit   = var.budget.monthly_limit
  email_addresses = var.budget.email_addresses
  region_limits   = { for name, region in var.regions : name => region.monthly_limit }
}
