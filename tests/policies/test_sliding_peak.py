"""The peak of a window: remembered as long as it says, and in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.sliding_peak import SlidingPeak

pytestmark = pytest.mark.unit

WINDOW_MS = 1_200
STEP_MS = 10


def test_a_peak_is_forgotten_when_its_window_is_over() -> None:
    peak = SlidingPeak(WINDOW_MS)
    peak.add(0, 9)
    peak.add(1_000, 4)
    assert [peak.peak(now_ms) for now_ms in (1_000, 1_200, 1_201, 2_200, 2_201)] == [9, 9, 4, 4, None]


def test_a_smaller_value_of_the_same_step_lets_the_larger_count_a_step_longer() -> None:
    peak = SlidingPeak(WINDOW_MS)
    peak.add(0, 9)
    peak.add(STEP_MS - 1, 4)
    assert [peak.peak(now_ms) for now_ms in (1_209, 1_210)] == [9, None]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)), max_size=80))
def test_it_is_the_largest_of_the_window_or_of_a_step_more(samples: list[tuple[int, int]]) -> None:
    peak, now_ms = SlidingPeak(WINDOW_MS), 0
    seen: list[tuple[int, int]] = []
    for after_ms, value in samples:
        now_ms += after_ms
        peak.add(now_ms, value)
        seen.append((now_ms, value))
        least = max(value for at_ms, value in seen if now_ms - at_ms <= WINDOW_MS)
        most = max(value for at_ms, value in seen if now_ms - at_ms <= WINDOW_MS + STEP_MS)
        assert least <= (peak.peak(now_ms) or 0) <= most


def test_values_that_fall_for_ever_take_no_more_room_than_there_are_steps() -> None:
    peak = SlidingPeak(WINDOW_MS)
    for now_ms in range(10_000):
        peak.add(now_ms, 10_000 - now_ms)
        peak.peak(now_ms)
    assert len(peak._peaks) <= 123
