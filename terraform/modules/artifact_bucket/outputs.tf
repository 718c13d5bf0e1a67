output "bucket" {
  description = "Its name."
  value       = module.bucket.bucket
}

output "arn" {
  description = "Its ARN."
  value       = module.bucket.arn
}
