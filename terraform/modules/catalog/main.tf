# The catalog file of an installation, as its gateways load it. A JSON string is a TOML string, and so is a JSON list of
# them a TOML list. (Terraform writes <, > and & in JSON as \u003c, \u003e and \u0026, which TOML reads as well.)

locals {
  text = join("\n", concat(
    ["cost_reference = ${jsonencode(var.cost_reference)}", ""],
    [for name in sort(keys(var.regions)) : templatefile("${path.module}/region.toml.tftpl", { name = name, region = var.regions[name] })],
  ))
}
