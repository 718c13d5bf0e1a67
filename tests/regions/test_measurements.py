"""Round trips: a worse one counts at once, a better one slowly, and old ones not at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.measurements import DECAY_MS, STALE_AFTER_MS, PeakEwma

pytestmark = pytest.mark.unit


def test_nothing_is_known_before_the_first_sample() -> None:
    assert PeakEwma().value(1_000) is None


def test_a_worse_sample_counts_at_once() -> None:
    rtt = PeakEwma()
    rtt.sample(20.0, 0)
    rtt.sample(300.0, 100)
    assert rtt.value(100) == 300.0


def test_a_better_sample_counts_by_the_time_that_passed() -> None:
    rtt = PeakEwma()
    rtt.sample(300.0, 0)
    rtt.sample(20.0, DECAY_MS)
    assert rtt.value(DECAY_MS) == pytest.approx(300 / math.e + 20 * (1 - 1 / math.e))


def test_one_good_sample_right_after_a_bad_one_changes_nearly_nothing() -> None:
    rtt = PeakEwma()
    rtt.sample(300.0, 0)
    rtt.sample(20.0, 10)
    assert rtt.value(10) == pytest.approx(300.0, rel=0.01)


def test_a_measurement_that_is_too_old_is_none() -> None:
    rtt = PeakEwma()
    rtt.sample(20.0, 0)
    assert (rtt.value(STALE_AFTER_MS), rtt.value(STALE_AFTER_MS + 1)) == (20.0, None)


def test_after_a_long_silence_the_next_sample_counts_by_itself() -> None:
    rtt = PeakEwma()
    rtt.sample(300.0, 0)
    rtt.sample(20.0, STALE_AFTER_MS + 1)
    assert rtt.value(STALE_AFTER_MS + 1) == 20.0


def test_another_path_begins_anew() -> None:
    rtt = PeakEwma()
    rtt.sample(300.0, 0)
    rtt.forget()
    assert rtt.value(0) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_what_is_no_duration_is_no_sample(value: float) -> None:
    rtt = PeakEwma()
    rtt.sample(20.0, 0)
    rtt.sample(value, 0)
    assert rtt.value(0) == 20.0


@given(st.lists(st.tuples(st.floats(0, 60_000), st.integers(-1_000, 60_000)), min_size=1, max_size=50))
def test_the_average_stays_between_the_samples_and_at_or_above_the_last(samples: list[tuple[float, int]]) -> None:
    """Whatever the clock does."""
    rtt, now_ms = PeakEwma(), 0
    for value, elapsed_ms in samples:
        now_ms += elapsed_ms
        rtt.sample(value, now_ms)
        average = rtt.value(now_ms)
        assert average is not None
        highest = max(sample for sample, _ in samples)
        assert value - 1e-6 <= average <= highest + 1e-6
