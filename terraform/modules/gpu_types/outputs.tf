output "instance_types" {
  description = "The types."
  value       = local.instance_types
}

output "accelerators" {
  description = "What engines say with --accelerator, by family of instance types."
  value       = local.accelerators
}

output "accelerator" {
  description = "What the catalog says of a pool of these types; empty: they differ."
  value       = length(local.in_them) == 1 ? local.in_them[0] : ""
}
