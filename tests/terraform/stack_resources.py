"""What CloudFormation can make and moto's cannot: a secret that makes its own value, and a user of Redis with passwords
that are looked up in secrets. Importing it is enough: moto finds them by itself.

They do what AWS documents of AWS::SecretsManager::Secret, AWS::ElastiCache::User and dynamic references, as far as
terraform/modules/redis_users asks for it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from moto.core.common_models import CloudFormationModel
from moto.elasticache.models import elasticache_backends
from moto.secretsmanager.models import secretsmanager_backends

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\{\{resolve:secretsmanager:(arn:[^}]+?):SecretString\}\}")


class StackSecret(CloudFormationModel):
    """A secret; `physical_resource_id`, which `Ref` gives, is its ARN."""

    def __init__(self, arn: str) -> None:
        self.physical_resource_id = arn

    @staticmethod
    def cloudformation_name_type() -> str:
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Id"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> StackSecret:
        backend, asked = secretsmanager_backends[account_id][region_name], cloudformation_json["Properties"]
        rules = asked["GenerateSecretString"]
        value = backend.get_random_password(
            password_length=rules["PasswordLength"],
            exclude_characters="",
            exclude_numbers=False,
            exclude_punctuation=rules["ExcludePunctuation"],
            exclude_uppercase=False,
            exclude_lowercase=False,
            include_space=False,
            require_each_included_type=True,
        )
        secret, _version = backend._add_secret(
            resource_name,
            secret_string=json.loads(value)["RandomPassword"],
            description=asked["Description"],
            kms_key_id=asked["KmsKeyId"],
        )
        return cls(secret.arn)

    def delete(self, account_id: str, region_name: str) -> None:
        secretsmanager_backends[account_id][region_name].delete_secret(
            self.physical_resource_id, recovery_window_in_days=None, force_delete_without_recovery=True
        )

    def is_created(self) -> bool:
        return True


class StackUser(CloudFormationModel):
    """A user of Redis; `physical_resource_id` is its id."""

    def __init__(self, user_id: str) -> None:
        self.physical_resource_id = user_id

    @staticmethod
    def cloudformation_name_type() -> str:
        return "UserId"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::ElastiCache::User"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in {"Arn", "Status"}

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> StackUser:
        asked = cloudformation_json["Properties"]
        elasticache_backends[account_id][region_name].create_user(
            user_id=resource_name,
            user_name=asked["UserName"],
            engine=asked["Engine"],
            passwords=_looked_up(asked, account_id, region_name),
            access_string=asked["AccessString"],
            no_password_required=False,
            authentication_type="password",
        )
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: StackUser,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> StackUser:
        assert new_resource_name == original_resource.physical_resource_id, "another id is another user"
        user = elasticache_backends[account_id][region_name].users[new_resource_name]
        user.passwords = _looked_up(cloudformation_json["Properties"], account_id, region_name)
        user.access_string = cloudformation_json["Properties"]["AccessString"]
        return original_resource

    def delete(self, account_id: str, region_name: str) -> None:
        elasticache_backends[account_id][region_name].users.pop(self.physical_resource_id)

    def is_created(self) -> bool:
        return True


def _looked_up(properties: Mapping[str, Any], account_id: str, region_name: str) -> list[str]:
    """Passwords of a user: what the secrets hold that its references name. ElastiCache takes one or two."""
    found = [_REFERENCE.fullmatch(password) for password in properties["Passwords"]]
    assert 1 <= len(found) <= 2
    secrets = secretsmanager_backends[account_id][region_name]
    return [
        secrets.get_secret_value(secret_id=reference[1], version_id="", version_stage="AWSCURRENT")["SecretString"]
        for reference in found
        if reference is not None
    ]
