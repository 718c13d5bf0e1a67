"""`patchbay config`: every mistake on a line, settings in force without secrets, a schema that the settings keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

CANARY = "canary-canary-canary-canary-canary-canary"
GOOD = f"""
region = "eu-1"
[engines]
addresses = ["unix:/run/engine.sock"]
[[tokens.issuers]]
issuer = "https://issuer.example"
audience = "patchbay"
algorithms = ["HS256"]
shared_secrets = [{{ kid = "a", value = "{CANARY}" }}]
"""


def run(*arguments: str, **environment: str | None) -> Result:
    return CliRunner().invoke(app, ["config", *arguments], env=environment)


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    return str(path)


def test_good_settings_are_good(good: str) -> None:
    outcome = run("check", good)
    assert (outcome.exit_code, outcome.stdout) == (0, "the settings are good\n")


def test_every_mistake_is_a_line_on_standard_error(good: str) -> None:
    outcome = run("check", good, PATCHBAY__REGION="EU 1", PATCHBAY__LOG_LEVEL="loud", PATCHBAY__BOGUS=CANARY)
    assert outcome.exit_code == 64
    assert outcome.stdout == ""
    assert [line.split(":")[:2] for line in outcome.stderr.splitlines()] == [
        ["wrong setting", " region"],
        ["wrong setting", " log_level"],
        ["wrong setting", " bogus"],
    ]
    assert "canary" not in outcome.output


@pytest.mark.parametrize("command", ["check", "show"])
def test_no_file_is_64(command: str, tmp_path: Path) -> None:
    outcome = run(command, str(tmp_path / "none.toml"))
    assert outcome.exit_code == 64
    assert "No such file" in outcome.stderr


def test_the_settings_in_force_are_shown_with_stars_for_secrets(good: str) -> None:
    outcome = run("show", good, PATCHBAY__SESSIONS__IDLE_TIMEOUT_MS="4321")
    assert outcome.exit_code == 0
    tree = json.loads(outcome.stdout)
    assert (tree["region"], tree["sessions"]["idle_timeout_ms"], tree["http"]["port"]) == ("eu-1", 4_321, 8_080)
    assert "canary" not in outcome.output


def test_what_is_shown_has_every_section_that_the_schema_has(good: str) -> None:
    schema = json.loads(run("schema").stdout)
    assert set(schema["properties"]) == set(json.loads(run("show", good).stdout)) == set(GatewaySettings.model_fields)
