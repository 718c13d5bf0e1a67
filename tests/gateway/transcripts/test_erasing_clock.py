"""Promises of the clock by which terms end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcripts.erasing_clock import ErasingClock

pytestmark = pytest.mark.unit


def test_it_follows_the_wall_and_does_not_believe_a_leap() -> None:
    clock = ErasingClock(wall_s=1_000_000.0, monotonic_s=50.0)
    assert clock.now_s(wall_s=1_000_060.0, monotonic_s=110.0) == 1_000_060.0
    assert clock.now_s(wall_s=1_000_660.0, monotonic_s=110.0) == 1_000_660.0
    assert clock.now_s(wall_s=9_999_999.0, monotonic_s=110.0) == 1_000_060.0 + 3_600
    assert clock.now_s(wall_s=900_000.0, monotonic_s=120.0) == 900_000.0


@given(st.floats(0, 1e9), st.floats(0, 1e6))
def test_nothing_ends_much_before_its_time_whatever_the_wall_says(wall_s: float, passed_s: float) -> None:
    clock = ErasingClock(wall_s=1_000.0, monotonic_s=0.0)
    assert clock.now_s(wall_s=wall_s, monotonic_s=passed_s) <= 1_000.0 + passed_s + 3_600
