output "functions_script" {
  description = "Bash functions: `imds PATH` asks the metadata service, `secret ARN` prints a secret, `put_file PATH` writes standard input for Patchbay's group alone."
  value       = local.functions_script
}

output "install_script" {
  description = "Bash, to be run as root under `set -eu` after the functions: makes the user `patchbay` and /opt/patchbay/venv."
  value       = local.install_script
}
