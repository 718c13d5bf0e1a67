"""`patchbay token revoke` and `revocations`, with a real Redis: what they write is what gateways read."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gateway.admission.claims import hash_of
from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

DAY_S = 86_400


class Operator:
    """A shell whose environment names a Redis, or not."""

    def __init__(self, home: Path, redis: RedisServer | None) -> None:
        self.environment = {"XDG_STATE_HOME": str(home), "PATCHBAY__TOKENS__MAX_LIFE_S": str(DAY_S), "COLUMNS": "200"}
        if redis is not None:
            self.environment["PATCHBAY__LIMITS__REDIS__URLS"] = json.dumps([redis.url])

    def does(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["token", *arguments], env=self.environment)

    def revokes(self, *arguments: str) -> dict[str, Any]:
        outcome = self.does("revoke", *arguments, "--json")
        assert outcome.exit_code == 0, outcome.output
        made: dict[str, Any] = json.loads(outcome.stdout)
        return made

    def standing(self) -> list[dict[str, Any]]:
        outcome = self.does("revocations", "list", "--json")
        assert outcome.exit_code == 0, outcome.output
        found: list[dict[str, Any]] = json.loads(outcome.stdout)
        return found


@pytest.fixture
def operator(tmp_path: Path, redis_server: RedisServer) -> Operator:
    return Operator(tmp_path, redis_server)


def test_what_is_revoked_is_listed_until_it_is_undone(operator: Operator) -> None:
    by_name = operator.revokes("--jti", "token-7", "--note", "leaked")
    by_subject = operator.revokes("--tenant", "acme", "--subject", "service-7")
    by_tenant = operator.revokes("--tenant", "acme")
    assert operator.standing() == [by_name, by_subject, by_tenant]
    assert (by_name["kind"], by_name["names"], by_name["note"]) == ("jti", [hash_of("token-7")], "leaked")
    assert (by_subject["kind"], by_subject["names"]) == ("subject", ["acme", hash_of("service-7")])
    assert (by_tenant["kind"], by_tenant["names"]) == ("tenant", ["acme"])
    assert operator.does("revocations", "undo", by_subject["id"]).exit_code == 0
    assert operator.standing() == [by_name, by_tenant]
    again = operator.does("revocations", "undo", by_subject["id"])
    assert again.exit_code == ExitCode.data_rejected
    table = operator.does("revocations", "list").stdout
    assert by_tenant["id"] in table
    assert "tenant acme" in table
    assert "leaked" in table


def test_no_text_of_a_token_is_kept(operator: Operator, redis_server: RedisServer) -> None:
    operator.revokes("--jti", "token-7")
    operator.revokes("--tenant", "acme", "--subject", "alice@example.com")
    with redis_server.client() as client:
        kept = str(client.xrange("patchbay:revocations"))
    assert "token-7" not in kept
    assert "alice" not in kept


def test_it_ends_when_the_last_token_that_it_covers_has_expired(operator: Operator) -> None:
    an_hour_ago = int(time.time()) - 3_600
    made = operator.revokes("--tenant", "acme", "--issued-before", str(an_hour_ago))
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(an_hour_ago))
    assert made["issued_before"] == shown
    assert made["until"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(an_hour_ago + DAY_S + 300))
    assert operator.revokes("--tenant", "b", "--issued-before", shown)["issued_before"] == shown


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--subject", "s"),
        ("--jti", "a", "--tenant", "b"),
        ("--jti", "a", "--issued-before", "0"),
        ("--tenant", "a", "--issued-before", "yesterday"),
        ("--tenant", "a", "--issued-before", "2026-01-31T12:00:00"),
        ("--tenant", "a", "--issued-before", "9999999999"),
        ("--tenant", "a", "--until", "1"),
        ("--tenant", "a", "--until", "9999999999"),
        ("--tenant", "a", "--note", "x" * 201),
    ],
)
def test_what_cannot_be_meant_is_64(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert operator.does("revoke", *arguments).exit_code == ExitCode.usage
    assert operator.standing() == []


def test_without_a_redis_it_says_how_to_name_one(tmp_path: Path) -> None:
    outcome = Operator(tmp_path, None).does("revoke", "--tenant", "acme")
    assert outcome.exit_code == ExitCode.usage
    assert "--config" in outcome.stderr


def test_a_redis_that_is_away_is_69(operator: Operator, redis_server: RedisServer) -> None:
    redis_server.kill()
    assert operator.does("revoke", "--tenant", "acme").exit_code == ExitCode.unavailable
