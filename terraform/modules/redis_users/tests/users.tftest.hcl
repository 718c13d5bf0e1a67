# Who may do what, and that Terraform is told no password. tests/terraform applies it, and looks for them in the state.

mock_provider "aws" {
  mock_resource "aws_cloudformation_stack" {
    defaults = {
      outputs = {
        EnginePassword1  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:EnginePassword1-AbCdEf"
        EnginePassword2  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:EnginePassword2-AbCdEf"
        EnginePassword3  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:EnginePassword3-AbCdEf"
        GatewayPassword1 = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:GatewayPassword1-AbCdEf"
        GatewayPassword2 = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:GatewayPassword2-AbCdEf"
        GatewayPassword3 = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:GatewayPassword3-AbCdEf"
      }
    }
  }
}

variables {
  name        = "patchbay-test-eu-west"
  region      = "eu-west"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/2"
}

run "engines_reach_the_registry_alone_and_the_user_everybody_knows_nothing" {
  command = plan

  assert {
    condition     = startswith(aws_elasticache_user.default.access_string, "off ")
    error_message = "the user that everybody knows may do nothing"
  }
  assert {
    condition     = strcontains(output.access_strings.engine, "~patchbay:engines:*") && !strcontains(output.access_strings.engine, "~patchbay:* ")
    error_message = "engines touch leases alone"
  }
  assert {
    condition     = toset(output.user_ids) == toset(["patchbay-test-eu-west-default", "engine-patchbay-test-eu-west", "gateway-patchbay-test-eu-west"])
    error_message = "three users"
  }
}

run "cloudformation_is_told_where_a_password_is_and_not_what_it_is" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudformation_stack.this.template_body).Resources.Engine.Properties.Passwords == [{ "Fn::Sub" = "{{resolve:secretsmanager:$${EnginePassword1}:SecretString}}" }]
    error_message = "a reference to what a secret holds"
  }
  assert {
    condition = alltrue([
      for resource in values(jsondecode(aws_cloudformation_stack.this.template_body).Resources) :
      resource.Properties.KmsKeyId == var.kms_key_arn && resource.Properties.GenerateSecretString.PasswordLength == 48 && !can(resource.Properties.SecretString)
      if resource.Type == "AWS::SecretsManager::Secret"
    ])
    error_message = "which makes it up itself, and keeps it under the key for secrets"
  }
}

run "the_password_before_stays_good_until_the_one_after_comes" {
  command = apply
  variables {
    password_version = 3
  }

  assert {
    condition     = toset(keys(jsondecode(aws_cloudformation_stack.this.template_body).Resources)) == toset(["Engine", "EnginePassword2", "EnginePassword3", "Gateway", "GatewayPassword2", "GatewayPassword3"])
    error_message = "two passwords of each user, and no third"
  }
  assert {
    condition     = jsondecode(aws_cloudformation_stack.this.template_body).Resources.Gateway.Properties.Passwords == [for version in [3, 2] : { "Fn::Sub" = "{{resolve:secretsmanager:$${GatewayPassword${version}}:SecretString}}" }]
    error_message = "both let a user in"
  }
  assert {
    condition     = strcontains(output.secret_arns.gateway, "GatewayPassword3") && length(output.readable_secret_arns.gateway) == 2
    error_message = "new hosts read the newest, hosts of before theirs"
  }
}

run "a_version_that_none_comes_before_is_refused" {
  command         = plan
  expect_failures = [var.password_version]
  variables {
    password_version = 0
  }
}
