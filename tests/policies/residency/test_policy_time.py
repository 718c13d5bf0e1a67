"""Policy's clock follows the wall forward and never goes behind what has passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.policy_time import PolicyClock

pytestmark = pytest.mark.unit


def test_a_clock_that_is_set_back_brings_nothing_back() -> None:
    clock = PolicyClock(wall_s=1_000.0, monotonic_s=5.0)
    assert clock.now_s(wall_s=400.0, monotonic_s=8.0) == 1_003.0


def test_a_clock_that_is_set_forward_is_followed_and_may_be_mended() -> None:
    clock = PolicyClock(wall_s=1_000.0, monotonic_s=5.0)
    assert clock.now_s(wall_s=9_000.0, monotonic_s=6.0) == 9_000.0
    assert clock.now_s(wall_s=1_002.0, monotonic_s=7.0) == 1_002.0


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e6)), min_size=1))
def test_it_is_never_behind_the_time_that_has_passed_since_the_start(readings: list[tuple[float, float]]) -> None:
    clock = PolicyClock(wall_s=1_000.0, monotonic_s=0.0)
    for wall_s, monotonic_s in readings:
        now_s = clock.now_s(wall_s=wall_s, monotonic_s=monotonic_s)
        assert now_s >= 1_000.0 + monotonic_s
        assert now_s >= wall_s
