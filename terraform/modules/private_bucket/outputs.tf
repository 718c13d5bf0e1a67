output "bucket" {
  description = "Its name."
  value       = aws_s3_bucket.this.bucket
}

output "arn" {
  description = "Its ARN, before its settings stand: for the statements of its own policy."
  value       = aws_s3_bucket.this.arn
}

output "ready" {
  description = "Its name and ARN, once versions, encryption and policy stand: for who logs or copies to it, or locks what is in it."
  value       = { bucket = aws_s3_bucket.this.bucket, arn = aws_s3_bucket.this.arn }
  depends_on = [
    aws_s3_bucket_versioning.this, aws_s3_bucket_server_side_encryption_configuration.this, aws_s3_bucket_policy.this,
  ]
}

output "has_object_lock" {
  description = "Whether objects can be locked."
  value       = aws_s3_bucket.this.object_lock_enabled
}

output "expiration_days" {
  description = "Days until an object expires; null: never."
  value       = one(one(aws_s3_bucket_lifecycle_configuration.this.rule).expiration[*].days)
}
