"""Passwords of Redis are in the secrets of their region, and in nothing that Terraform keeps. Only in the long form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.elasticache.models import elasticache_backends
from moto.secretsmanager.models import secretsmanager_backends

from tests.harness.terraform import Terraform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform, pytest.mark.timeout(1_500)]

REGION = "eu-central-1"


class Users:
    """Of one Redis, made by Terraform."""

    def __init__(self, work: Path, aws: AwsServer) -> None:
        self._work = work
        self._terraform = Terraform("tests/terraform/roots/redis_users", work, endpoint=aws.endpoint)
        self._terraform.init()
        self._plans: list[str] = []

    def make(self, password_version: int) -> dict[str, Any]:
        """Outputs of the root."""
        self._plans.append(json.dumps(self._terraform.plan(password_version=password_version)))
        self._terraform.apply(password_version=password_version)
        return self._terraform.outputs()

    def end(self) -> None:
        self._terraform.destroy(password_version=1)

    def kept(self) -> str:
        """All that Terraform wrote: states, their backups, plans as they are and as they read."""
        states = list(self._terraform.root.glob("*.tfstate*"))
        assert states
        files = [*states, self._work / "plan"]
        return "\n".join([*(file.read_bytes().decode(errors="replace") for file in files), *self._plans])


@pytest.fixture(name="users")
def _users(tmp_path: Path, aws: AwsServer) -> Iterator[Users]:
    users = Users(tmp_path, aws)
    yield users
    users.end()
    left = elasticache_backends[DEFAULT_ACCOUNT_ID][REGION].users.values()
    assert [user.id for user in left if "patchbay-passwords" in user.id and user.status != "deleting"] == []


def passwords(user: str) -> list[str]:
    """With which that user of Redis is let in, as the service has them."""
    users = elasticache_backends[DEFAULT_ACCOUNT_ID][REGION].users.values()
    (found,) = (one for one in users if "patchbay-passwords" in one.id and one.name == user)
    return list(found.passwords)


def secret(arn: str) -> str:
    """What a host reads."""
    found = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].get_secret_value(arn, "", "AWSCURRENT")
    return str(found["SecretString"])


def test_what_hosts_read_lets_them_in_and_is_in_nothing_that_terraform_keeps(users: Users) -> None:
    arns = users.make(1)["secret_arns"]

    read = {user: secret(arn) for user, arn in arns.items()}

    assert {user: passwords(user) for user in ("gateway", "engine")} == {user: [value] for user, value in read.items()}
    assert passwords("default") == []
    assert read["gateway"] != read["engine"]
    assert all(len(value) == 48 for value in read.values())
    kept = users.kept()
    assert "patchbay-passwords-eu-central" in kept
    assert [user for user, value in read.items() if value in kept] == []


def test_hosts_with_the_password_of_before_are_let_in_until_the_one_after_comes(users: Users) -> None:
    first = secret(users.make(1)["secret_arns"]["gateway"])
    made = users.make(2)
    second = secret(made["secret_arns"]["gateway"])

    assert passwords("gateway") == [second, first]
    assert [secret(arn) for arn in made["readable_secret_arns"]["gateway"]] == [second, first]

    third = secret(users.make(3)["secret_arns"]["gateway"])

    assert passwords("gateway") == [third, second]
    assert not {first, second, third} & set(users.kept().split('"'))
