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

output "artifact_buckets" {
  description = "Where releases, models and configuration go, by region."
  value       = { for name, region in local.built : name => region.artifact_bucket }
}

output "secret_arns" {
  description = "Secrets that people fill, by region (docs/deploy.md)."
  value       = { for name, region in local.built : name => region.secret_arns }
}

output "autoscaling_group_names" {
  description = "Groups of gateways and of each pool, by region."
  value       = { for name, region in local.built : name => region.autoscaling_group_names }
}
