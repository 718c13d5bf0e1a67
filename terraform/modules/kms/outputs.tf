output "key_arns" {
  description = "Keys by purpose: data, secrets, audit, logs."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.arn }
}
