# The users of one region's Redis, and their passwords, which Terraform never has: neither its state nor its plans.
#
# aws_elasticache_user of provider 5 keeps passwords in the state. So CloudFormation makes the users: a secret is told to
# make its own value, and a user to take what is in the secret, which CloudFormation looks up by itself and does not keep.

locals {
  users = {
    # Everything of Patchbay's own keys; of scripts and functions nothing but to run and load a script. INFO tells a gateway
    # that it speaks to another server than before.
    gateway = "on ~${var.prefix}:* resetchannels -@all +@read +@write +@transaction +@connection -@scripting +eval +evalsha +script|load +script|exists +time -@dangerous +info"
    # An engine enters its lease in the registry, and can touch nothing else.
    engine = "on ~${var.prefix}:engines:* resetchannels -@all +@connection +@hash +@sortedset +get +set +time +eval +evalsha +script|load +script|exists -@dangerous"
  }

  # ElastiCache takes two passwords of a user. That of the version before stays good, so hosts that have it connect until
  # they are replaced.
  versions = [for version in [var.password_version, var.password_version - 1] : version if version >= 1]

  # Users of older states, which Terraform made itself, had the name first: theirs and these can be there at once, until the
  # group lets the older ones go.
  user_ids = merge({ default = "${var.name}-default" }, { for user in keys(local.users) : user => "${user}-${var.name}" })

  # Names of a secret in the template, newest first. CloudFormation makes up the rest of its name, so one that was
  # deleted and waits for its end is in nobody's way.
  secrets = { for user in keys(local.users) : user => [for version in local.versions : "${title(user)}Password${version}"] }

  template = {
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Users of the Redis ${var.name}-redis"
    Resources = merge(
      {
        for user, access in local.users : title(user) => {
          Type = "AWS::ElastiCache::User"
          Properties = {
            UserId       = local.user_ids[user]
            UserName     = user
            Engine       = var.engine
            AccessString = access
            Passwords    = [for secret in local.secrets[user] : { "Fn::Sub" = "{{resolve:secretsmanager:$${${secret}}:SecretString}}" }]
          }
        }
      },
      {
        for secret in flatten(values(local.secrets)) : secret => {
          Type = "AWS::SecretsManager::Secret"
          Properties = {
            Description          = "Password of a user of the Redis ${var.name}-redis"
            KmsKeyId             = var.kms_key_arn
            GenerateSecretString = { PasswordLength = 48, ExcludePunctuation = true }
          }
        }
      },
    )
    Outputs = { for secret in flatten(values(local.secrets)) : secret => { Value = { Ref = secret } } }
  }
}

resource "aws_cloudformation_stack" "this" {
  #checkov:skip=CKV_AWS_124:The stack has only users and their secrets and changes only when Terraform changes it; Terraform reports its failures
  name          = "${var.name}-redis-users"
  template_body = jsonencode(local.template)
  on_failure    = "DELETE"
  tags          = var.tags
}

# A group must hold a user named default: one that may do nothing.
resource "aws_elasticache_user" "default" {
  user_id              = local.user_ids.default
  user_name            = "default"
  engine               = var.engine
  access_string        = "off ~keys* -@all"
  no_password_required = true
  tags                 = var.tags
}
