"""Terraform's tests: those that need Terraform and the real AWS provider stay away where these are not.

`make terraform-check` says what was found, and runs the long forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness import terraform
from tests.terraform.aws_server import AwsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

NEED_TERRAFORM = ["test_apply.py", "test_environments.py", "test_rendered_hosts.py"]

collect_ignore = [] if terraform.is_set_up() else NEED_TERRAFORM


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    """What stands in for AWS, for all tests: what one makes there, it takes away."""
    server = AwsServer().start()
    yield server
    server.stop()
