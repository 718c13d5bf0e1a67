output "bucket" {
  description = "Its name."
  value       = module.bucket.bucket
}

output "arn" {
  description = "Its ARN, once it may be copied to."
  value       = module.bucket.ready.arn
  depends_on  = [aws_s3_bucket_object_lock_configuration.this]
}

output "retention_days" {
  description = "What writers must say at least."
  value       = var.retention_days
}

output "replication_role_arn" {
  description = "Role that copies it to another region; null: there is no copy."
  value       = one(aws_iam_role.replication[*].arn)
}
