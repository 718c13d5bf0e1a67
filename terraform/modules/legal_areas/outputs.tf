output "regions" {
  description = "Regions by name, with what follows from where they stand: country, location, host names, relay address, peers and their networks."
  value       = local.regions

  precondition {
    condition     = length(local.overlaps) == 0
    error_message = "Networks of regions must not overlap, or no link can be made between them: ${join(", ", local.overlaps)}."
  }

  precondition {
    condition     = length(local.forbidden_links) == 0
    error_message = "A link across legal areas must be permitted by permitted_area_pairs: ${join(", ", local.forbidden_links)}."
  }
}

output "areas" {
  description = "Legal areas by name: jurisdictions, host names, names of their regions."
  value       = local.areas
}

output "links" {
  description = "Links by `FROM--TO`, with both ends."
  value       = { for link in var.links : "${link.from}--${link.to}" => link }
}

output "accelerators" {
  description = "Accelerators by name: their legal area and their regions."
  value = {
    for name, regions in var.accelerators : name => {
      legal_area   = var.regions[sort(regions)[0]].legal_area
      region_names = sort(regions)
    }
  }
}
