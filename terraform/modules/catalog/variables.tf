variable "cost_reference" {
  description = "What a cost_permille of 1000 is."
  type        = string
  default     = ""
}

variable "regions" {
  description = "What the catalog says of each region, by name (docs/regions.md). What single values may be is checked by whoever reads it."
  type = map(object({
    country       = string
    latitude      = number
    longitude     = number
    operator      = string
    jurisdictions = set(string)
    gateways      = list(string)
    relays        = list(string)
    state         = optional(string, "active")
    pools = list(object({
      name          = string
      capacity      = string
      models        = list(object({ name = string, version = optional(string, "") }))
      accelerator   = optional(string, "")
      zone          = optional(string, "")
      cost_permille = optional(number, 1000)
    }))
  }))

  validation {
    condition     = length(var.regions) > 0
    error_message = "A catalog has a region at least."
  }
}
