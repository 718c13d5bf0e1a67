"""`patchbay policy`: the group of its commands explains itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.policy import policy_app

pytestmark = pytest.mark.unit


def test_the_group_explains_itself() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "--help"])
    assert shown.exit_code == 0
    assert "residency rules" in shown.stdout


@pytest.mark.parametrize("name", sorted(command.name or "" for command in policy_app.registered_commands))
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", name, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout
