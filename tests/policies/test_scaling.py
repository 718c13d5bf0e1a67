"""What autoscalers should keep: up at once, down late, safe against a zone's loss, reserved where spot is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.capacity import PoolCapacity, zone_loss
from policies.plans import Tier
from policies.routing_facts import CapacityClass
from policies.scaling import ScalingRules, ScalingTarget, engines_for, ideal_split, needed_by
from policies.tier_slots import TierHeadroom, free_slots_for

pytestmark = pytest.mark.unit

WINDOW_MS = 600_000
MISSING_MS = 120_000
RULES = ScalingRules(headroom_permille=0, scale_down_after_ms=WINDOW_MS)


def base(slots: int = 0, used: int = 0) -> PoolCapacity:
    return PoolCapacity("base", CapacityClass.reserved, slots_total=slots, slots_used=used)


def spots(*slots: int, used: int = 0) -> list[PoolCapacity]:
    """One row a zone; `used` in the first one."""
    return [
        PoolCapacity("spot", CapacityClass.spot, f"z{number}", slots_total=count, slots_used=used if number == 0 else 0)
        for number, count in enumerate(slots)
    ]


def watched(rules: ScalingRules = RULES) -> ScalingTarget:
    """One that has watched for a whole window before time 0, and nothing was there."""
    return ScalingTarget(rules, -WINDOW_MS)


def test_demand_that_rises_is_answered_at_once() -> None:
    target = watched()
    assert target.wants(0, [base(used=10)]).by_row == {("base", ""): 10}
    assert target.wants(1, [base(used=50)]).by_row == {("base", ""): 50}


def test_demand_that_falls_is_answered_when_its_window_is_over() -> None:
    target = watched()
    target.wants(0, [base(used=50)])
    assert target.wants(WINDOW_MS, [base(used=10)]).needed_slots == 50
    assert target.wants(WINDOW_MS + 1, [base(used=10)]).needed_slots == 10


def test_never_below_the_floor_of_reserved_slots() -> None:
    rules = replace(RULES, reserved_floor_slots=30)
    assert watched(rules).wants(0, [base(), *spots(0, 0)]).by_row == {
        ("base", ""): 30,
        ("spot", "z0"): 0,
        ("spot", "z1"): 0,
    }


def test_spot_is_wanted_in_all_zones_so_that_one_may_be_lost() -> None:
    rules = replace(RULES, headroom_permille=100, reserved_floor_slots=50)
    wanted = watched(rules).wants(0, [base(used=100), *spots(0, 0, 0)])
    assert (wanted.needed_slots, wanted.reserved_slots, wanted.spot_slots) == (110, 50, 90)
    assert wanted.by_row == {("base", ""): 50, ("spot", "z0"): 30, ("spot", "z1"): 30, ("spot", "z2"): 30}


def test_spot_in_one_zone_alone_is_of_no_use_unless_its_loss_is_accepted() -> None:
    rows = [base(used=20), *spots(0)]
    assert watched().wants(0, rows).by_row == {("base", ""): 20, ("spot", "z0"): 0}
    assert watched(replace(RULES, is_zone_loss_survived=False)).wants(0, rows).by_row == {
        ("base", ""): 0,
        ("spot", "z0"): 20,
    }


def test_where_there_is_no_reserved_pool_one_zone_of_spot_serves_and_it_is_said() -> None:
    wanted = watched().wants(0, spots(0, used=20))
    assert (wanted.by_row, wanted.unplaced_slots) == ({("spot", "z0"): 20}, 20)


def test_sessions_without_a_slot_are_demand() -> None:
    assert watched().wants(0, [base(10, used=10)], unmet_slots=4).demand_slots == 14


def test_callers_who_try_again_and_again_double_the_demand_at_most() -> None:
    assert watched().wants(0, [base(10, used=10)], unmet_slots=900).demand_slots == 20
    assert watched().wants(0, [base()], unmet_slots=900, engine_slots=8).demand_slots == 8


def test_the_lowest_tier_finds_its_slots_though_it_leaves_some_to_others() -> None:
    headroom = TierHeadroom(economy_permille=200)
    needed = needed_by(replace(RULES, tier_headroom_permille=200), 37)
    assert free_slots_for(Tier.economy, slots_total=needed, slots_used=36, headroom=headroom) >= 1
    assert needed_by(replace(RULES, tier_headroom_permille=1_000), 37) == 37, "never served: nothing to keep for it"


def test_no_pool_is_wanted_smaller_before_a_whole_window_was_seen() -> None:
    target = ScalingTarget(RULES, 0)
    wanted = target.wants(WINDOW_MS - 1, [base(64, used=3)])
    assert (wanted.is_learning, wanted.by_row) == (True, {("base", ""): 64})
    wanted = target.wants(WINDOW_MS, [base(64, used=3)])
    assert (wanted.is_learning, wanted.by_row) == (False, {("base", ""): 3})


def test_a_pool_that_operators_drain_is_kept_while_somebody_is_on_it_and_the_others_do_without_it() -> None:
    rows = [
        replace(base(used=10), pool="old", slots_leaving=16, is_held=True),
        replace(base(used=20), pool="new", slots_total=64),
    ]
    assert watched().wants(0, rows).by_row == {("old", ""): 16, ("new", ""): 30}
    rows[0] = replace(rows[0], slots_used=0)
    assert watched().wants(0, rows).by_row == {("old", ""): 0, ("new", ""): 20}


def test_a_zone_whose_only_pool_is_drained_is_no_zone_for_spot() -> None:
    a, b, c = spots(0, 0, 0)
    wanted = watched().wants(0, [base(used=100), a, b, replace(c, pool="old", is_held=True)])
    assert (wanted.by_row["spot", "z0"], wanted.by_row["spot", "z1"], wanted.by_row["old", "z2"]) == (100, 100, 0)


# --- spot that is missing -----------------------------------------------------------------------------------------


def test_spot_that_does_not_come_is_wanted_of_reserved_machines_after_a_while() -> None:
    target = watched()
    rows = [base(100, used=100), *spots(0, 0)]
    assert target.wants(0, rows).fallback_slots == 0
    assert target.wants(MISSING_MS - 1, rows).fallback_slots == 0
    wanted = target.wants(MISSING_MS, rows)
    assert (wanted.fallback_slots, wanted.reserved_slots, wanted.spot_slots) == (100, 100, 200)


def test_no_more_than_the_rule_lacks_is_wanted_of_reserved_machines() -> None:
    target = watched()
    rows = [base(100, used=100), *spots(50, 50, 0)]
    target.wants(0, rows)
    assert target.wants(MISSING_MS, rows).fallback_slots == 50


def test_spot_that_was_away_for_a_moment_is_wanted_of_nobody_else() -> None:
    target = watched()
    away, there = [base(used=100), *spots(0, 0)], [base(used=100), *spots(100, 100)]
    for now_ms, rows in ((0, away), (60_000, there), (69_999, there), (70_000, away), (189_999, away)):
        assert target.wants(now_ms, rows).fallback_slots == 0


def test_reserved_machines_are_given_back_when_spot_has_been_there_for_long() -> None:
    target = watched()
    away, there = [base(100, used=100), *spots(0, 0)], [base(100, used=100), *spots(100, 100)]
    target.wants(0, away)
    assert target.wants(MISSING_MS, away).fallback_slots == 100
    back_ms = MISSING_MS + RULES.spot_back_after_ms
    assert target.wants(MISSING_MS + 1, there).fallback_slots == 100
    assert target.wants(back_ms, there).fallback_slots == 100
    assert target.wants(back_ms + RULES.spot_back_after_ms // 120 + 1, there).fallback_slots == 0


def test_missing_spot_without_a_reserved_pool_is_said() -> None:
    target = watched()
    target.wants(0, spots(0, 0, used=10))
    assert target.wants(MISSING_MS, spots(0, 0, used=10)).unplaced_slots == 10


def test_spot_may_not_be_given_back_sooner_than_it_is_missed() -> None:
    with pytest.raises(ValueError, match="spot_back_after_ms"):
        ScalingRules(spot_missing_after_ms=10, spot_back_after_ms=9)


# --- for all ------------------------------------------------------------------------------------------------------


@given(
    demand=st.integers(0, 2_000),
    floor=st.integers(0, 500),
    zones=st.integers(0, 6),
    headroom=st.integers(0, 500),
)
def test_what_is_wanted_satisfies_the_rule(demand: int, floor: int, zones: int, headroom: int) -> None:
    rules = replace(RULES, headroom_permille=headroom, reserved_floor_slots=floor)
    rows = [base(used=demand), *spots(*[0] * zones)]
    wanted = watched(rules).wants(0, rows)
    filled = [replace(row, slots_total=wanted.by_row[row.pool, row.zone]) for row in rows]
    assert sum(wanted.by_row.values()) == wanted.reserved_slots + wanted.spot_slots
    assert zone_loss(filled, demand_slots=demand, headroom_permille=headroom).holds
    assert filled[0].slots_total >= floor


@given(needed=st.integers(0, 2_000), floor=st.integers(0, 500), zones=st.integers(2, 6))
def test_no_spot_slot_is_wanted_too_many(needed: int, floor: int, zones: int) -> None:
    _, spot = ideal_split(needed, reserved_floor=floor, spot_zones=zones)
    left = [total - -(-total // zones) for total in (spot, spot - 1)]
    assert floor + left[0] >= needed
    assert spot == 0 or floor + left[1] < needed


@given(low=st.integers(0, 500), more=st.integers(0, 500))
def test_more_demand_never_wants_fewer_slots(low: int, more: int) -> None:
    few = watched().wants(0, [base(used=low), *spots(0, 0, 0)])
    many = watched().wants(0, [base(used=low + more), *spots(0, 0, 0)])
    assert all(many.by_row[key] >= slots for key, slots in few.by_row.items())


def test_slots_become_engines() -> None:
    assert [engines_for(slots, engine_slots=64) for slots in (0, 1, 64, 65)] == [0, 1, 1, 2]
    assert engines_for(3, engine_slots=0) == 3
