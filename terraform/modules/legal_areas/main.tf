# The plan of an installation: which regions there are, under whose law, and who may be linked with whom. Makes nothing.

locals {
  # Two networks overlap where the longer one's address, cut to the shorter prefix, is the shorter one.
  names = keys(var.regions)
  overlaps = [
    for pair in setproduct(local.names, local.names) : "${pair[0]} and ${pair[1]}"
    if index(local.names, pair[0]) < index(local.names, pair[1]) && length(distinct([
      for name in pair : cidrhost(join("/", [cidrhost(var.regions[name].cidr, 0), min([
        for each in pair : tonumber(split("/", var.regions[each].cidr)[1])
      ]...)]), 0)
    ])) == 1
  ]

  forbidden_links = [
    for link in var.links : "${link.from} and ${link.to}"
    if try(var.regions[link.from].legal_area != var.regions[link.to].legal_area, false) && !anytrue([
      for pair in var.permitted_area_pairs : length(setsubtract(
        [try(var.regions[link.from].legal_area, ""), try(var.regions[link.to].legal_area, "")], pair
      )) == 0
    ])
  ]

  peers = {
    for name, _ in var.regions : name => sort(concat(
      [for link in var.links : link.to if link.from == name],
      [for link in var.links : link.from if link.to == name],
    ))
  }

  areas = {
    for area, rules in var.legal_areas : area => {
      jurisdictions  = sort(rules.jurisdictions)
      host_name      = "${area}.${var.domain}"
      quic_host_name = "quic.${area}.${var.domain}"
      region_names   = sort([for name, region in var.regions : name if region.legal_area == area])
    }
  }

  regions = {
    for name, region in var.regions : name => {
      aws_region          = region.aws_region
      country             = local.aws_regions[region.aws_region].country
      latitude            = local.aws_regions[region.aws_region].latitude
      longitude           = local.aws_regions[region.aws_region].longitude
      jurisdictions       = sort(region.jurisdictions)
      legal_area          = region.legal_area
      cidr                = region.cidr
      host_name           = "${name}.${local.areas[region.legal_area].host_name}"
      quic_host_name      = "quic.${name}.${local.areas[region.legal_area].host_name}"
      area_host_name      = local.areas[region.legal_area].host_name
      area_quic_host_name = local.areas[region.legal_area].quic_host_name
      relay_address       = "relay.${name}.${var.private_domain}:${var.relay_port}"
      peers               = local.peers[name]
      peer_cidrs          = { for peer in local.peers[name] : peer => var.regions[peer].cidr }
    }
  }
}
