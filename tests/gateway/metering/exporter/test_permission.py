"""Promises of the border to the rules about usage."""

from __future__ import annotations

import pytest

from gateway.metering.exporter.permission import AllPermitted

pytestmark = pytest.mark.unit


def test_without_rules_everything_may_leave() -> None:
    assert AllPermitted().permits("acme/p", "")
