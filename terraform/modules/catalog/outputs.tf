output "text" {
  description = "The catalog, TOML."
  value       = local.text
}
