# What the machines of a region start from: releases, models, the catalog, public keys. One in each region, because
# machines reach it over the region's own S3 endpoint and nothing else.

module "bucket" {
  source = "../private_bucket"

  bucket         = var.bucket
  kms_key_arn    = var.kms_key_arn
  log_bucket     = var.log_bucket
  is_deletable   = var.is_deletable
  lifecycle_rule = { id = "earlier-versions", noncurrent_days = var.noncurrent_days }
  tags           = var.tags
}
