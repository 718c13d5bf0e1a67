# Which instance types a pool of engines has, and what GPU is in them. Pure: the catalog says it too, and must be known
# before anything of a region is made.

locals {
  # In the order in which on-demand machines are tried.
  instance_types = coalesce(var.types, ["g6.xlarge", "g5.xlarge", "g6.2xlarge", "g5.2xlarge", "g6e.xlarge"])

  accelerators = { g4dn = "t4", g5 = "a10g", g6 = "l4", gr6 = "l4", g6e = "l40s" }
  in_them      = distinct([for type in local.instance_types : local.accelerators[split(".", type)[0]]])
}
