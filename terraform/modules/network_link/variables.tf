variable "name" {
  description = "Prefix of names, such as `patchbay-production`."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "near" {
  description = "The end that asks for the link (provider `aws.near`)."
  type = object({
    region          = string
    aws_region      = string
    legal_area      = string
    vpc_id          = string
    cidr            = string
    route_table_ids = list(string)
    private_zone_id = string
  })
}

variable "far" {
  description = "The end that accepts it (provider `aws.far`)."
  type = object({
    region          = string
    aws_region      = string
    legal_area      = string
    vpc_id          = string
    cidr            = string
    route_table_ids = list(string)
    private_zone_id = string
  })

  validation {
    condition     = var.far.region != var.near.region
    error_message = "A link needs two different regions."
  }

  validation {
    condition = var.far.legal_area == var.near.legal_area || anytrue([
      for pair in var.permitted_area_pairs : length(setsubtract([var.near.legal_area, var.far.legal_area], pair)) == 0
    ])
    error_message = "${var.near.region} (${var.near.legal_area}) and ${var.far.region} (${var.far.legal_area}) lie in different legal areas, and permitted_area_pairs does not name the two."
  }

  validation {
    condition = length(distinct([
      for network in [var.near.cidr, var.far.cidr] : cidrhost(join("/", [cidrhost(network, 0), min([
        for each in [var.near.cidr, var.far.cidr] : tonumber(split("/", each)[1])
      ]...)]), 0)
    ])) == 2
    error_message = "The networks ${var.near.cidr} and ${var.far.cidr} overlap."
  }
}

variable "permitted_area_pairs" {
  description = "Pairs of legal areas between which a link may be made. Inside one area it always may."
  type        = list(set(string))
  default     = []

  validation {
    condition     = alltrue([for pair in var.permitted_area_pairs : length(pair) == 2])
    error_message = "Each of permitted_area_pairs names two legal areas: a longer list would permit more than anybody wrote down."
  }
}

variable "far_account_id" {
  description = "Account of the far end, if it is another one."
  type        = string
  default     = null
}
