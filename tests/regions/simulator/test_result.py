"""Figures of a result that are reckoned from others."""

from __future__ import annotations

import pytest

from regions.simulator.result import Served

pytestmark = pytest.mark.unit


def test_the_share_served_is_of_what_was_offered() -> None:
    assert Served(offered_s=200.0, served_s=199.0).permille == 995.0


def test_where_nobody_spoke_everything_was_served() -> None:
    assert Served().permille == 1_000.0
