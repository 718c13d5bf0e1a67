output "bucket" {
  description = "Its name, once its settings stand: nothing is put there before it is encrypted."
  value       = module.bucket.ready.bucket
}

output "arn" {
  description = "Its ARN."
  value       = module.bucket.arn
}
