variable "types" {
  description = "Types in the order in which on-demand machines are tried; each with exactly one GPU. Several, so that one of them can be had. Null: g6, g5 and g6e."
  type        = list(string)
  default     = null

  validation {
    condition     = var.types == null ? true : alltrue([for type in var.types : can(regex("^(g4dn|g5|g6|gr6|g6e)\\.(x|2x|4x|8x|16x)large$", type))])
    error_message = "An engine uses one GPU: types of g4dn, g5, g6, gr6 and g6e up to 16xlarge, without those that have several."
  }
}
