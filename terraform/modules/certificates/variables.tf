variable "names" {
  description = "Host names that the certificate is for; the first is its subject. All of one legal area."
  type        = list(string)

  validation {
    condition     = length(var.names) >= 1 && length(var.names) <= 10 && length(distinct(var.names)) == length(var.names)
    error_message = "names: one to ten different host names."
  }

  validation {
    condition     = alltrue([for name in var.names : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", name))])
    error_message = "names: whole host names in lower case, without wildcards: a certificate that holds for names of another legal area would let its hosts pose as theirs."
  }

  validation {
    condition     = alltrue([for name in var.names : name == var.area_host_name || endswith(name, ".${var.area_host_name}")])
    error_message = "Each name must be ${var.area_host_name} or end in .${var.area_host_name}."
  }
}

variable "area_host_name" {
  description = "Host name of the legal area; every name lies under it."
  type        = string
}

variable "zone_id" {
  description = "Public zone of Route 53 that has these names."
  type        = string
}

variable "validation_names" {
  description = "Names whose validation records this call makes. ACM asks for the same record in every region, so for names that regions share one call makes them. Null: all."
  type        = set(string)
  default     = null

  validation {
    condition     = var.validation_names == null ? true : length(setsubtract(var.validation_names, var.names)) == 0
    error_message = "validation_names must be among names."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
