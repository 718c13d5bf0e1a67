output "catalog" {
  description = "The catalog of all regions, TOML."
  value       = module.catalog.text
}

output "catalogs" {
  description = "The catalog that gateways of each legal area load."
  value       = { for area, catalog in module.area_catalog : area => catalog.text }
}

output "host_names" {
  description = "Where callers of each legal area connect."
  value       = { for area, facts in local.areas : area => facts.host_name }
}

output "settings" {
  description = "Settings files of the gateways, by region. Secrets are not in them."
  value       = { for name, region in local.built : name => region.settings_text }
}

output "example_environments" {
  description = "What goes over them on hosts, with samples in the place of secrets."
  value       = { for name, region in local.built : name => region.example_environment }
}

output "user_data" {
  description = "What hosts run at their first start, by region and kind."
  value       = { for name, region in local.built : name => region.user_data }
}

# These two are known once buckets and secrets are there, before anything else is (docs/deploy.md): Terraform leaves out of
# a targeted apply every output that depends on more, as each does that looks through local.built.
output "artifact_buckets" {
  description = "Where releases, models and configuration go, by region."
  value = {
    eu-central = module.eu_central.artifact_bucket
    eu-west    = module.eu_west.artifact_bucket
    us-east    = module.us_east.artifact_bucket
  }
}

output "secret_arns" {
  description = "Secrets that people fill, by region (docs/deploy.md)."
  value = {
    eu-central = module.eu_central.secret_arns
    eu-west    = module.eu_west.secret_arns
    us-east    = module.us_east.secret_arns
  }
}

output "autoscaling_group_names" {
  description = "Groups of gateways and of each pool, by region."
  value       = { for name, region in local.built : name => region.autoscaling_group_names }
}
