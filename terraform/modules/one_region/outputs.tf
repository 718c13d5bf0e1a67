# Of nothing that has to be made first but names of the network: gateways start with it.
output "catalog_entry" {
  description = "What the catalog says of the region."
  value = {
    country       = var.facts.country
    latitude      = var.facts.latitude
    longitude     = var.facts.longitude
    operator      = var.operator
    jurisdictions = toset(var.facts.jurisdictions)
    gateways = concat(
      ["wss://${var.facts.host_name}/v1/stream", "grpcs://${var.facts.host_name}:${module.network.ports.public_grpc}"],
      var.has_quic ? ["https://${var.facts.quic_host_name}/v1/stream"] : [],
    )
    relays = length(var.pools) > 0 ? local.relays : []
    pools = [
      for name, pool in var.pools : {
        name          = name
        capacity      = pool.capacity
        accelerator   = module.gpu_types[name].accelerator
        models        = pool.models
        cost_permille = pool.cost_permille
      }
    ]
  }
}

output "settings_text" {
  description = "Settings of its gateways."
  value       = module.gateways.settings_text
}

output "example_environment" {
  description = "What goes over them on a host, with samples in the place of secrets."
  value       = module.gateways.example_environment
}

output "user_data" {
  description = "What hosts run at their first start, by kind or pool."
  value       = merge({ gateway = module.gateways.user_data }, { for name, pool in module.engines : name => pool.user_data })
}

output "artifact_bucket" {
  description = "Bucket of releases, models and configuration."
  value       = module.artifacts.bucket
}

output "audit_bucket" {
  description = "What another region of the legal area needs to copy its decision log here."
  value = {
    region      = var.region
    legal_area  = var.facts.legal_area
    bucket      = module.audit.bucket
    bucket_arn  = module.audit.arn
    kms_key_arn = module.kms.key_arns.audit
  }
}

output "secret_arns" {
  description = "Secrets that people fill."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "link_end" {
  description = "What a link to another region needs of this one."
  value = {
    region          = var.region
    aws_region      = data.aws_region.here.name
    legal_area      = var.facts.legal_area
    vpc_id          = module.network.vpc_id
    cidr            = module.network.vpc_cidr
    route_table_ids = module.network.private_route_table_ids
    private_zone_id = module.network.private_zone_id
  }
}

output "load_balancers" {
  description = "What the legal area's names need of this region."
  value = {
    aws_region     = data.aws_region.here.name
    legal_area     = var.facts.legal_area
    host_name      = var.facts.host_name
    dns_name       = module.ingress.dns_name
    zone_id        = module.ingress.zone_id
    quic_host_name = var.has_quic ? var.facts.quic_host_name : null
    quic_dns_name  = module.ingress.quic_dns_name
    quic_zone_id   = module.ingress.quic_zone_id
  }
}

output "load_balancer_arn" {
  description = "Load balancer of TCP, for an accelerator."
  value       = module.ingress.load_balancer_arn
}

output "autoscaling_group_names" {
  description = "Groups of gateways and of each pool."
  value       = merge({ gateway = module.gateways.autoscaling_group_name }, { for name, pool in module.engines : name => pool.autoscaling_group_name })
}
