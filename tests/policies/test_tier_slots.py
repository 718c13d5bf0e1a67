"""The last slots are kept for those who are served first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Tier
from policies.tier_slots import TierHeadroom, free_slots_for, free_slots_of_tier, slots_tier

pytestmark = pytest.mark.unit

HEADROOM = TierHeadroom(standard_permille=100, economy_permille=300)


def test_each_tier_leaves_its_headroom_to_those_above() -> None:
    free = free_slots_of_tier(slots_total=20, slots_used=10, headroom=HEADROOM)
    assert free == {"premium": 10, "standard": 8, "economy": 4}


def test_a_tier_without_room_has_none_rather_than_a_debt() -> None:
    free = free_slots_of_tier(slots_total=20, slots_used=19, headroom=HEADROOM)
    assert free == {"premium": 1, "standard": 0, "economy": 0}


def test_the_only_slot_of_a_small_engine_is_open_to_everyone() -> None:
    assert free_slots_for(Tier.economy, slots_total=1, slots_used=0, headroom=HEADROOM) == 1


def test_by_default_standard_may_take_every_slot() -> None:
    assert free_slots_for(Tier.standard, slots_total=7, slots_used=6, headroom=TierHeadroom()) == 1


def test_a_session_that_goes_on_may_use_all_headroom() -> None:
    assert slots_tier(Tier.economy, is_replay=True) is Tier.premium
    assert slots_tier(Tier.economy, is_replay=False) is Tier.economy


@given(
    total=st.integers(0, 10_000),
    used=st.integers(0, 10_000),
    shares=st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)),
)
def test_a_lower_tier_never_has_more_and_nobody_more_than_there_are(
    total: int, used: int, shares: tuple[int, int]
) -> None:
    headroom = TierHeadroom(*sorted(shares))
    free = [free_slots_for(tier, slots_total=total, slots_used=used, headroom=headroom) for tier in Tier]
    assert free == sorted(free, reverse=True)
    assert free[0] == max(0, total - used)
    assert free[-1] >= 0


@pytest.mark.parametrize("shares", [(-1, 0), (200, 100), (0, 1_001)])
def test_headroom_that_favours_a_lower_tier_is_refused(shares: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="headroom must rise"):
        TierHeadroom(*shares)
