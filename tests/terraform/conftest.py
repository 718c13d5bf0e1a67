"""Terraform's tests: those that need Terraform and the real AWS provider stay away where these are not.

`make terraform-check` says what was found, and runs the long forms.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.harness import terraform
from tests.terraform.aws_server import NUM_APPLIED, AwsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEED_TERRAFORM = {
    "test_apply.py",
    "test_first_steps.py",
    "test_older_states.py",
    "test_redis_passwords.py",
    "test_environments.py",
    "test_rendered_hosts.py",
}
_LONG = {"test_apply.py", "test_first_steps.py", "test_older_states.py", "test_redis_passwords.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file stays away; None: as pytest has it."""
    is_long = config.getoption("--long") or os.environ.get("PATCHBAY_LONG") == "1"
    away = (set() if terraform.is_set_up() else _NEED_TERRAFORM) | (set() if is_long else _LONG)
    return True if collection_path.name in away else None


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    """What stands in for AWS, for all tests: what one makes there, it takes away."""
    server = AwsServer().start()
    yield server
    server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if num_applied := config.stash.get(NUM_APPLIED, 0):
        terminalreporter.write_line(f"{num_applied} resources applied and destroyed")
