variable "domain" {
  description = "Domain under which each legal area has its host name: `AREA.DOMAIN`."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain))
    error_message = "domain must be a domain name in lower case, without a dot at its end."
  }
}

variable "private_domain" {
  description = "Domain of names that only resolve inside the networks: relays are `relay.REGION.PRIVATE_DOMAIN`."
  type        = string
  default     = "patchbay.internal"
}

variable "relay_port" {
  description = "Port of the relays between regions."
  type        = number
  default     = 8085
}

variable "legal_areas" {
  description = "Legal areas by name. Every region of an area stands under all of its jurisdictions; no name, no record and no accelerator reaches beyond an area."
  type = map(object({
    jurisdictions = set(string)
  }))

  validation {
    condition     = alltrue([for name, _ in var.legal_areas : can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "Names of legal areas are parts of host names: lower case, digits and hyphens."
  }

  validation {
    condition     = alltrue([for area in values(var.legal_areas) : length(area.jurisdictions) > 0])
    error_message = "A legal area needs at least one jurisdiction, or it is no fence."
  }
}

variable "regions" {
  description = "Regions by their names in Patchbay's catalog: where in AWS, under whose law, in which legal area, with which addresses."
  type = map(object({
    aws_region    = string
    jurisdictions = set(string)
    legal_area    = string
    cidr          = string
  }))

  validation {
    condition     = alltrue([for name, _ in var.regions : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name)) && name != "quic"])
    error_message = "Names of regions are parts of host names: lower case, digits and hyphens. `quic` is taken: quic.AREA.DOMAIN leads to QUIC of the whole area."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : contains(keys(local.aws_regions), region.aws_region)])
    error_message = "Not a known region of AWS: ${join(", ", [for name, region in var.regions : "${name} (${region.aws_region})" if !contains(keys(local.aws_regions), region.aws_region)])}. Known ones are in aws_regions.tf."
  }

  validation {
    condition = alltrue([
      for region in values(var.regions) : length(region.jurisdictions) > 0 && length(setsubtract(
        region.jurisdictions, try(local.aws_regions[region.aws_region].jurisdictions, [])
      )) == 0
    ])
    error_message = "A region's jurisdictions must be those of the country in which its AWS region stands: ${join("; ", [for name, region in var.regions : "${name} says ${join(", ", region.jurisdictions)}, ${region.aws_region} stands under ${join(", ", try(local.aws_regions[region.aws_region].jurisdictions, ["nobody's law that is known here"]))}" if length(setsubtract(region.jurisdictions, try(local.aws_regions[region.aws_region].jurisdictions, []))) > 0 || length(region.jurisdictions) == 0])}."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : contains(keys(var.legal_areas), region.legal_area)])
    error_message = "A region names a legal area that legal_areas does not have."
  }

  validation {
    condition = alltrue([
      for region in values(var.regions) :
      length(setsubtract(try(var.legal_areas[region.legal_area].jurisdictions, []), region.jurisdictions)) == 0
    ])
    error_message = "A region must stand under all jurisdictions of its legal area: ${join("; ", [for name, region in var.regions : "${name} is in ${region.legal_area} and lacks ${join(", ", setsubtract(try(var.legal_areas[region.legal_area].jurisdictions, []), region.jurisdictions))}" if length(setsubtract(try(var.legal_areas[region.legal_area].jurisdictions, []), region.jurisdictions)) > 0])}."
  }

  validation {
    condition     = length(distinct([for region in values(var.regions) : region.aws_region])) == length(var.regions)
    error_message = "Two regions of Patchbay must not share one region of AWS."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : can(cidrhost(region.cidr, 0)) && can(regex("/(16|17|18|19|20)$", region.cidr))])
    error_message = "Each region's cidr must be an IPv4 network of /16 to /20."
  }
}

variable "links" {
  description = "Pairs of regions between whose networks there is a link. Only these are made."
  type        = list(object({ from = string, to = string }))
  default     = []

  validation {
    condition = alltrue([
      for link in var.links : contains(keys(var.regions), link.from) && contains(keys(var.regions), link.to) && link.from != link.to
    ])
    error_message = "A link needs two different regions of `regions`."
  }

  validation {
    condition     = length(distinct([for link in var.links : join("/", sort([link.from, link.to]))])) == length(var.links)
    error_message = "A link is there twice. It works both ways."
  }
}

variable "permitted_area_pairs" {
  description = "Pairs of legal areas between which links may be made. None by default. A link carries audio only where policy permits it; without a link nothing can."
  type        = list(set(string))
  default     = []

  validation {
    condition     = alltrue([for pair in var.permitted_area_pairs : length(pair) == 2 && length(setsubtract(pair, keys(var.legal_areas))) == 0])
    error_message = "Each of permitted_area_pairs names two different legal areas of legal_areas."
  }
}

variable "accelerators" {
  description = "Regions behind each Global Accelerator, by its name. Accelerators fail open: when all endpoints of an area are ill they send callers to any other, so none may span two areas."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for names in values(var.accelerators) : length(names) > 0 && length(setsubtract(names, keys(var.regions))) == 0])
    error_message = "An accelerator needs regions of `regions`."
  }

  validation {
    condition     = alltrue([for names in values(var.accelerators) : length(distinct([for name in names : try(var.regions[name].legal_area, "")])) == 1])
    error_message = "A global accelerator across legal areas is refused: it fails open, and would send callers of one area to another. Give each area one of its own: ${join("; ", [for accelerator, names in var.accelerators : "${accelerator} spans ${join(", ", distinct([for name in names : try(var.regions[name].legal_area, "")]))}" if length(distinct([for name in names : try(var.regions[name].legal_area, "")])) > 1])}."
  }
}
