"""A new engine offers little at first and all of its room in the end, and never where all are new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.slow_start import SlowStartLimits, ramp_permille, ramps

pytestmark = pytest.mark.unit

LIMITS = SlowStartLimits(window_ms=10_000, min_permille=100, aggression_permille=1_000)


def test_room_is_offered_evenly_over_the_window() -> None:
    ages_ms = [-5, 0, 500, 1_000, 2_500, 5_000, 9_999, 10_000, 1 << 40]
    assert [ramp_permille(age_ms, LIMITS) for age_ms in ages_ms] == [100, 100, 100, 100, 250, 500, 999, 1_000, 1_000]


def test_more_aggression_offers_more_at_first() -> None:
    eager = SlowStartLimits(window_ms=10_000, min_permille=100, aggression_permille=2_000)
    assert ramp_permille(2_500, eager) == 500


def test_nothing_is_held_back_where_all_are_new_or_the_window_is_none() -> None:
    assert ramps([0, 9_999], LIMITS) == [1_000, 1_000]
    assert ramps([0, 10_000], LIMITS) == [100, 1_000]
    assert ramps([], LIMITS) == []
    assert ramps([0, 10_000], SlowStartLimits(window_ms=0)) == [1_000, 1_000]


@given(st.lists(st.integers(0, 20_000), max_size=8), st.sampled_from([500, 1_000, 3_000]))
def test_an_older_engine_never_offers_less_and_somebody_offers_all(ages_ms: list[int], aggression: int) -> None:
    limits = SlowStartLimits(window_ms=10_000, min_permille=50, aggression_permille=aggression)
    offered = ramps(sorted(ages_ms), limits)
    assert offered == sorted(offered)
    assert all(50 <= share <= 1_000 for share in offered)
    assert not offered or offered[-1] == 1_000


@pytest.mark.parametrize("wrong", [{"window_ms": -1}, {"min_permille": 0}, {"aggression_permille": 0}], ids=str)
def test_limits_that_would_hold_an_engine_out_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="window_ms"):
        SlowStartLimits(**wrong)
