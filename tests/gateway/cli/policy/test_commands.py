"""`patchbay policy`: the group and its commands explain themselves."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.policy.commands import policy_app

pytestmark = pytest.mark.unit


def test_the_group_and_every_command_explain_themselves() -> None:
    for name in ("", *(command.name or "" for command in policy_app.registered_commands)):
        shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", *name.split(), "--help"])
        assert shown.exit_code == 0, name
        assert "Usage:" in shown.stdout
