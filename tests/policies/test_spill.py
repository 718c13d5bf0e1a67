"""A region that is nearly full spills, stops only when clearly less is taken for a while, and never flaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Tier
from policies.spill import Spill, SpillLimits
from policies.tier_slots import TierHeadroom, free_slots_of_tier

pytestmark = pytest.mark.unit

LIMITS = SpillLimits(enter_permille=900, leave_permille=800, calm_ms=3_000)
PREMIUM, STANDARD, ECONOMY = (tier.value for tier in Tier)


def look(spill: Spill, now_ms: int, used: int, *, total: int = 100, headroom: TierHeadroom | None = None) -> set[str]:
    free = free_slots_of_tier(slots_total=total, slots_used=used, headroom=headroom or TierHeadroom(0, 0))
    return set(spill.look(now_ms, slots_total=total, free_slots_of_tier=free))


def test_a_region_spills_from_the_upper_mark_on_and_until_it_was_below_the_lower_one_for_a_while() -> None:
    spill, everyone = Spill(LIMITS), {PREMIUM, STANDARD, ECONOMY}
    assert look(spill, 0, 89) == set()
    assert look(spill, 100, 90) == everyone
    assert look(spill, 200, 80) == everyone
    assert look(spill, 300, 79) == everyone
    assert look(spill, 3_299, 79) == everyone
    assert look(spill, 3_300, 79) == set()
    assert look(spill, 3_400, 89) == set()


def test_the_pause_begins_anew_when_more_is_taken_meanwhile() -> None:
    spill = Spill(LIMITS)
    look(spill, 0, 95)
    look(spill, 100, 70)
    look(spill, 2_000, 85)
    assert look(spill, 3_100, 70) != set()
    assert look(spill, 6_099, 70) != set()
    assert look(spill, 6_100, 70) == set()


def test_what_a_tier_leaves_to_others_is_nothing_that_it_may_use() -> None:
    spill, headroom = Spill(LIMITS), TierHeadroom(standard_permille=0, economy_permille=200)
    assert look(spill, 0, 71, headroom=headroom) == set()
    assert look(spill, 100, 72, headroom=headroom) == {ECONOMY}
    assert look(spill, 200, 90, headroom=headroom) == {PREMIUM, STANDARD, ECONOMY}


def test_a_region_without_engines_is_no_place_and_spills_for_nobody() -> None:
    spill = Spill(LIMITS)
    assert look(spill, 0, 0, total=0) == set()
    assert look(spill, 100, 100) != set()
    assert look(spill, 200, 0, total=0) == set()


def test_a_small_region_spills_when_its_last_slot_is_taken() -> None:
    spill = Spill(LIMITS)
    assert look(spill, 0, 1, total=2) == set()
    assert look(spill, 100, 2, total=2) != set()


@pytest.mark.parametrize(
    "wrong", [{"leave_permille": 950}, {"leave_permille": 0}, {"enter_permille": 1_001}, {"calm_ms": -1}], ids=str
)
def test_marks_that_would_flap_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="leave_permille"):
        SpillLimits(**wrong)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 1_000)), min_size=2, max_size=60))
def test_it_never_flaps_whatever_comes_and_goes(looks: list[tuple[int, int]]) -> None:
    spill, now_ms, was, began_ms = Spill(LIMITS), 0, False, None
    lowest_since: list[tuple[int, int]] = []
    for used, gap_ms in looks:
        now_ms += gap_ms
        lowest_since.append((now_ms, used))
        spills = STANDARD in look(spill, now_ms, used)
        if spills and not was:
            assert used >= 90
            began_ms = now_ms
        if was and not spills:
            assert began_ms is not None
            assert now_ms - began_ms >= LIMITS.calm_ms
            assert all(taken < 80 for at_ms, taken in lowest_since if at_ms > now_ms - LIMITS.calm_ms)
        was = spills
