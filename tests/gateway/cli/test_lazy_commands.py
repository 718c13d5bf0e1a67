"""`patchbay` imports what is called, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from gateway.cli.app import app
from gateway.cli.lazy_commands import LazyCommands

pytestmark = pytest.mark.unit

GROUP = typer.main.get_command(app)


def names() -> list[str]:
    assert isinstance(GROUP, LazyCommands)
    return GROUP.list_commands(None)


@pytest.mark.parametrize("name", names())
def test_every_named_command_can_be_loaded_and_says_what_it_does(name: str) -> None:
    assert isinstance(GROUP, LazyCommands)
    command = GROUP.get_command(None, name)
    assert command.name == name
    assert command.get_short_help_str()


def test_a_command_that_is_not_named_is_none() -> None:
    assert isinstance(GROUP, LazyCommands)
    assert GROUP.get_command(None, "no-such-command") is None


def test_the_root_imports_none_of_its_commands() -> None:
    asked = "import sys, gateway.cli.app; print([name for name in sys.modules if name.startswith('gateway.cli.')])"
    printed = subprocess.run(
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert printed.strip() == "['gateway.cli.exit_codes', 'gateway.cli.lazy_commands', 'gateway.cli.app']"
