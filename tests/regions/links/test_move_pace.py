"""Promises of the pace at which streams are told to move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.links.move_pace import MovePace

pytestmark = pytest.mark.unit


def pauses(num_streams: int, draw: float = 0.5, **settings: int) -> list[float]:
    pace = MovePace(num_streams=num_streams, **({"moves_per_s": 40, "burst": 20, "within_ms": 15_000} | settings))
    return [pace.pause_s(draw) for _ in range(num_streams)]


def test_a_few_go_at_once_and_three_hundred_within_ten_seconds() -> None:
    assert pauses(20) == [0.0] * 20
    assert sum(pauses(300)) == pytest.approx(7.0)


@given(st.integers(1, 5_000), st.floats(0, 1, exclude_max=True), st.integers(1, 50))
def test_however_many_they_are_each_is_told_in_time(num_streams: int, draw: float, burst: int) -> None:
    spent_s = sum(pauses(num_streams, draw, burst=burst))
    assert spent_s <= 15.0 * 0.75 + 1e-6
