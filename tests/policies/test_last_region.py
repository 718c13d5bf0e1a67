"""An order that leaves a jurisdiction without a region takes two people; every other one takes one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.last_region import EngineParts, RegionParts, jurisdictions_emptied
from policies.orders import Order, OrderKind, OrderState, Scope, Target

pytestmark = pytest.mark.unit


def parts(*jurisdictions: str, **changes: object) -> RegionParts:
    region = RegionParts(frozenset(jurisdictions), is_active=True, has_engines=True, pools=frozenset({"l4", "spot"}))
    return replace(region, **changes)  # type: ignore[arg-type]


def order(target: Target, state: OrderState = OrderState.in_force) -> Order:
    return Order("0" * 12, target, OrderKind.drain, state, "why", "ada", 0)


def region(name: str) -> Target:
    return Target(Scope.region, name)


def pool(name: str, *, of: str = "ie") -> Target:
    return Target(Scope.pool, of, name)


def engine(name: str, *, of: str = "ie") -> Target:
    return Target(Scope.engine, of, name)


EUROPE = {"ie": parts("eu", "eea"), "no": parts("eea"), "us": parts("us")}


def test_the_last_region_of_a_jurisdiction_is_named_with_it() -> None:
    assert jurisdictions_emptied(region("ie"), EUROPE, []) == ("eu",)
    assert jurisdictions_emptied(region("us"), EUROPE, []) == ("us",)


def test_a_region_beside_which_another_one_is_active_takes_one_person() -> None:
    assert jurisdictions_emptied(region("no"), EUROPE, []) == ()


def test_orders_in_force_and_stopped_ones_count_and_pending_ones_do_not() -> None:
    two = {"ie": parts("eu"), "de": parts("eu")}
    assert jurisdictions_emptied(region("ie"), two, [order(region("de"))]) == ("eu",)
    assert jurisdictions_emptied(region("ie"), two, [order(region("de"), OrderState.stopped)]) == ("eu",)
    assert jurisdictions_emptied(region("ie"), two, [order(region("de"), OrderState.pending)]) == ()


@pytest.mark.parametrize(
    "other", [parts("eu", is_active=False), parts("eu", is_working=False), parts("eu", has_engines=False)]
)
def test_regions_that_take_nothing_do_not_count(other: RegionParts) -> None:
    assert jurisdictions_emptied(region("ie"), {"ie": parts("eu"), "de": other}, []) == ("eu",)


def test_a_region_that_is_out_of_reach_for_a_moment_still_takes_two_people_to_empty() -> None:
    assert jurisdictions_emptied(region("ie"), {"ie": parts("eu", is_working=False)}, []) == ("eu",)
    two = {"ie": parts("eu", is_working=False), "de": parts("eu")}
    assert jurisdictions_emptied(region("ie"), two, []) == ()


def test_what_is_emptied_already_is_not_emptied_again() -> None:
    assert jurisdictions_emptied(region("us"), EUROPE, [order(region("us"))]) == ()
    assert jurisdictions_emptied(pool("l4", of="us"), EUROPE, [order(region("us"))]) == ()


def test_the_last_pool_of_the_last_region_counts_like_the_region() -> None:
    assert jurisdictions_emptied(pool("l4"), EUROPE, []) == ()
    assert jurisdictions_emptied(pool("l4"), EUROPE, [order(pool("spot"))]) == ("eu",)


def test_the_last_engine_that_runs_counts_whatever_pools_the_catalog_names() -> None:
    two = (EngineParts("l4", frozenset({"a:1"})), EngineParts("l4", frozenset({"b:1", "i-7"})))
    regions = {"ie": parts("eu", engines=two)}
    assert jurisdictions_emptied(engine("a:1"), regions, []) == ()
    assert jurisdictions_emptied(engine("a:1"), regions, [order(engine("i-7"))]) == ("eu",)
    assert jurisdictions_emptied(pool("l4"), regions, []) == ("eu",)
    assert jurisdictions_emptied(pool("spot"), regions, []) == ()


def test_the_only_region_of_all_takes_two_people_although_it_is_in_no_jurisdiction() -> None:
    assert jurisdictions_emptied(region("local"), {"local": parts()}, []) == ("local",)
    assert jurisdictions_emptied(region("one"), {"one": parts(), "two": parts()}, []) == ()


@given(
    regions=st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.builds(
            RegionParts,
            jurisdictions=st.frozensets(st.sampled_from(["eu", "us"])),
            is_active=st.booleans(),
            has_engines=st.booleans(),
            pools=st.frozensets(st.sampled_from(["l4", "spot"])),
        ),
        min_size=1,
    ),
    ordered=st.lists(st.sampled_from(["a", "b", "c", "d"])),
    name=st.sampled_from(["a", "b", "c", "d"]),
)
def test_one_person_alone_never_leaves_a_jurisdiction_that_had_a_region_without_one(
    regions: dict[str, RegionParts], ordered: list[str], name: str
) -> None:
    def served(without: set[str]) -> set[str]:
        taking = {key for key, one in regions.items() if one.is_active and one.has_engines and key not in without}
        return {jurisdiction for key in taking for jurisdiction in regions[key].jurisdictions}

    orders = [order(region(each)) for each in ordered]
    emptied = jurisdictions_emptied(region(name), regions, orders)
    lost = served(set(ordered)) - served({*ordered, name})
    assert lost <= set(emptied)
