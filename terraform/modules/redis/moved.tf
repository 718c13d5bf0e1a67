# Where states that were made before the module redis_users have the user that may do nothing. The other two did not move:
# terraform/README.md says how they are replaced.

moved {
  from = aws_elasticache_user.default
  to   = module.users.aws_elasticache_user.default
}
