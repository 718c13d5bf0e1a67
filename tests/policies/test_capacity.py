"""The zone-loss rule: what it answers for even and uneven zones, and what it says is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.capacity import (
    LostZone,
    PoolCapacity,
    ZoneLoss,
    needed_slots,
    slots_by_zone,
    without_pool,
    without_zone,
    zone_loss,
)
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit


def reserved(slots: int, zone: str = "", *, pool: str = "base", cost: int = 1_000) -> PoolCapacity:
    return PoolCapacity(pool, CapacityClass.reserved, zone, slots_total=slots, cost_permille=cost)


def spot(slots: int, zone: str = "", *, pool: str = "cheap", cost: int = 350) -> PoolCapacity:
    return PoolCapacity(pool, CapacityClass.spot, zone, slots_total=slots, cost_permille=cost)


ROWS = st.lists(
    st.builds(
        PoolCapacity,
        pool=st.sampled_from(["base", "cheap", "cheaper"]),
        capacity=st.sampled_from(CapacityClass),
        zone=st.sampled_from(["", "a", "b", "c", "d"]),
        slots_total=st.integers(0, 500),
        cost_permille=st.integers(0, 3_000),
    ),
    max_size=12,
)
DEMAND = st.integers(0, 1_500)
HEADROOM = st.integers(0, 1_000)


def test_the_worked_example_of_the_documentation() -> None:
    rows = [reserved(40, "a"), spot(40, "a"), spot(40, "b"), spot(40, "c")]
    assert zone_loss(rows, demand_slots=100, headroom_permille=100) == ZoneLoss(
        demand_slots=100,
        needed_slots=110,
        reserved_slots=40,
        spot_slots=120,
        spot_zones=3,
        worst=LostZone("a", 40, 120, 10),
        left_slots=120,
        margin_slots=10,
        more_spot_slots=0,
        more_reserved_slots=0,
        reserved_zone=LostZone("a", 40, 120, 10),
        cost_permille=512,
        against_reserved_permille=745,
    )


def test_what_is_missing_goes_into_the_smallest_zones_first() -> None:
    loss = zone_loss([spot(10, "a"), spot(4, "b"), spot(2, "c")], demand_slots=15)
    assert (loss.margin_slots, loss.more_spot_slots, loss.more_spot_by_zone) == (-9, 9, {"b": 3, "c": 6})


def test_once_zones_are_level_more_than_what_is_missing_has_to_come() -> None:
    loss = zone_loss([spot(10, "a"), spot(10, "b"), spot(10, "c")], demand_slots=24)
    assert (loss.margin_slots, loss.more_spot_slots, loss.more_spot_by_zone) == (-4, 6, {"a": 2, "b": 2, "c": 2})
    assert loss.more_reserved_slots == 4


def test_no_number_of_spot_slots_in_one_zone_survives_its_loss() -> None:
    loss = zone_loss([reserved(5), spot(1_000, "a")], demand_slots=10)
    assert (loss.holds, loss.more_spot_slots, loss.more_reserved_slots) == (False, None, 5)


def test_spot_pools_of_one_zone_are_lost_together() -> None:
    loss = zone_loss([spot(10, "a"), spot(20, "a", pool="cheaper"), spot(25, "b")], demand_slots=25)
    assert loss.worst == LostZone("a", 30, 25, 0)


def test_spot_pools_without_a_zone_count_as_one_zone() -> None:
    loss = zone_loss([spot(10), spot(20, pool="cheaper"), spot(25, "b")], demand_slots=0)
    assert (loss.spot_zones, loss.worst) == (2, LostZone("", 30, 25, 25))


def test_reserved_machines_of_a_zone_do_not_go_with_its_spot_machines() -> None:
    assert zone_loss([reserved(50, "a"), spot(10, "a")], demand_slots=50).worst == LostZone("a", 10, 50, 0)


def test_without_spot_there_is_no_zone_to_lose_and_all_slots_count() -> None:
    loss = zone_loss([reserved(10, "a"), reserved(10, "b")], demand_slots=15)
    assert (loss.worst, loss.holds, loss.margin_slots) == (None, True, 5)
    assert loss.reserved_zone == LostZone("a", 10, 10, -5), "shown, not demanded"


def test_a_known_zone_without_engines_is_a_place_for_more() -> None:
    loss = zone_loss([reserved(10), spot(10, "a"), spot(0, "b")], demand_slots=15)
    assert loss.more_spot_by_zone == {"b": 5}


def test_nothing_at_all_lacks_everything() -> None:
    loss = zone_loss([], demand_slots=7)
    assert (loss.holds, loss.more_reserved_slots, loss.more_spot_slots, loss.cost_permille) == (False, 7, None, None)


def test_headroom_is_rounded_up() -> None:
    assert [needed_slots(demand, headroom_permille=100) for demand in (0, 1, 10, 11)] == [0, 2, 11, 13]


def test_a_drained_pool_is_no_capacity() -> None:
    rows = [reserved(10), spot(5, "a"), spot(6, "b")]
    assert without_pool(rows, "cheap") == (rows[0],)
    assert without_zone(rows, "a", CapacityClass.spot) == (rows[0], rows[2])


@given(slots=st.integers(1, 400), zones=st.integers(1, 9), base=st.integers(0, 400), demand=DEMAND)
def test_for_even_zones_it_is_the_formula(slots: int, zones: int, base: int, demand: int) -> None:
    rows = [reserved(base), *(spot(slots, f"z{number}") for number in range(zones))]
    loss = zone_loss(rows, demand_slots=demand)
    assert loss.holds == (base * zones + slots * zones * (zones - 1) >= demand * zones)


@given(rows=ROWS, demand=DEMAND, headroom=HEADROOM)
def test_where_it_holds_no_zone_of_spot_machines_is_missed(
    rows: list[PoolCapacity], demand: int, headroom: int
) -> None:
    loss = zone_loss(rows, demand_slots=demand, headroom_permille=headroom)
    zones = slots_by_zone(rows, CapacityClass.spot) or {"": 0}
    left = [sum(row.slots_total for row in without_zone(rows, zone, CapacityClass.spot)) for zone in zones]
    assert min(left) == loss.left_slots
    assert loss.holds == (min(left) * 1_000 >= demand * (1_000 + headroom))


@given(rows=ROWS, more=ROWS, demand=DEMAND, headroom=HEADROOM)
def test_more_capacity_never_makes_it_fail(
    rows: list[PoolCapacity], more: list[PoolCapacity], demand: int, headroom: int
) -> None:
    before = zone_loss(rows, demand_slots=demand, headroom_permille=headroom)
    after = zone_loss([*rows, *more], demand_slots=demand, headroom_permille=headroom)
    assert after.margin_slots >= before.margin_slots


@given(rows=ROWS, demand=DEMAND, headroom=HEADROOM)
def test_what_it_says_is_missing_is_enough_and_one_less_is_not(
    rows: list[PoolCapacity], demand: int, headroom: int
) -> None:
    loss = zone_loss(rows, demand_slots=demand, headroom_permille=headroom)
    ways = [(loss.more_reserved_slots, [reserved(loss.more_reserved_slots)])]
    if loss.more_spot_slots is not None:
        ways.append((loss.more_spot_slots, [spot(slots, zone) for zone, slots in loss.more_spot_by_zone.items()]))
    for number, more in ways:
        assert sum(row.slots_total for row in more) == number
        again = zone_loss([*rows, *more], demand_slots=demand, headroom_permille=headroom)
        assert again.holds
        assert number == 0 or again.margin_slots == 0 or more[0].capacity is CapacityClass.spot
        if number:
            fewer = [replace(more[0], slots_total=more[0].slots_total - 1), *more[1:]]
            assert not zone_loss([*rows, *fewer], demand_slots=demand, headroom_permille=headroom).holds
