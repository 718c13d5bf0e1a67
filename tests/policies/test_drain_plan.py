"""Where sessions would go if a region were emptied: inside their set, into slots that are free, and all are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.drain_plan import PolicySetRoom, SessionGroup, plan_drain, without_engines
from policies.plans import Tier
from policies.routing import RoutingWeights
from policies.routing_facts import (
    CapacityClass,
    Health,
    ModelFacts,
    RegionFacts,
    RegionSnapshot,
    RegionState,
    RuledOut,
)

pytestmark = pytest.mark.unit

WEIGHTS = RoutingWeights(queueing_ms=0.0)
"""A region is as good when it is nearly full, so that the tests can count."""
NAMES = ("here", "near", "far", "beyond")
EVERYWHERE = frozenset(NAMES)


def facts(name: str, free: int, *, rtt_ms: float = 1.0, **changes: object) -> RegionFacts:
    region = RegionFacts(
        name,
        is_local=name == "here",
        has_engines=True,
        state=RegionState.active,
        health=Health.admitting,
        rtt_ms=rtt_ms,
        is_rtt_measured=True,
        age_ms=100,
        models=(ModelFacts("general", "2", "en", slots_total=1_000, slots_free=free),),
        slots_total=1_000,
        free_slots_of_tier={tier.value: free for tier in Tier},
    )
    return replace(region, **changes)  # type: ignore[arg-type]


def world(**free: int) -> RegionSnapshot:
    """`here` drains; the others have so many slots, and each is further away than the one before."""
    away = (facts(name, count, rtt_ms=40.0 * place) for place, (name, count) in enumerate(free.items(), 1))
    return RegionSnapshot(0, (facts("here", 900, state=RegionState.draining), *away))


def group(count: int, *permitted: str, tier: Tier = Tier.standard) -> SessionGroup:
    return SessionGroup(frozenset(permitted), tier, "general", "", "en", "here", count)


def test_sessions_go_to_the_best_region_until_it_is_full_and_then_to_the_next() -> None:
    plan = plan_drain([group(30, "here", "near", "far")], world(near=20, far=50), WEIGHTS)
    assert [(row.to_region, row.count) for row in plan.rows] == [("near", 20), ("far", 10)]
    assert plan.rows[0].why.free_slots == 20
    assert plan.rows[0].why.parts["rtt"] == 40.0
    assert plan.sets == (PolicySetRoom(frozenset({"here", "near", "far"}), 30, 70, 0),)
    assert plan.sets[0].suffices


def test_sessions_that_find_no_slot_are_told_with_the_reason_of_each_region_of_their_set() -> None:
    plan = plan_drain([group(5, "here", "near"), group(3, "here")], world(near=4, far=50), WEIGHTS)
    assert [(row.to_region, row.count) for row in plan.rows] == [("near", 4)]
    assert [(shortfall.group, shortfall.count, dict(shortfall.ruled_out)) for shortfall in plan.shortfalls] == [
        (group(3, "here"), 3, {"here": RuledOut.draining}),
        (group(5, "here", "near"), 1, {"here": RuledOut.draining, "near": RuledOut.no_free_slot}),
    ]
    assert plan.sets == (
        PolicySetRoom(frozenset({"here"}), 3, 0, 3),
        PolicySetRoom(frozenset({"here", "near"}), 5, 4, 1),
    )


def test_sessions_go_only_where_there_are_machines_that_they_may_be_on() -> None:
    snapshot = world(near=20, far=50)
    classes = {"near": {"spot": 20}, "far": {"reserved": 3, "spot": 47}}
    snapshot = replace(
        snapshot,
        regions=tuple(replace(region, free_slots_of_class=classes.get(region.name, {})) for region in snapshot.regions),
    )
    reserved = frozenset({CapacityClass.reserved})
    group_on_reserved = replace(group(5, "near", "far"), classes=(("far", reserved), ("near", reserved)))
    plan = plan_drain([group_on_reserved], snapshot, WEIGHTS)
    assert [(row.to_region, row.count) for row in plan.rows] == [("far", 3)]
    (shortfall,) = plan.shortfalls
    assert (shortfall.count, dict(shortfall.ruled_out)) == (
        2,
        dict.fromkeys(("near", "far"), RuledOut.no_permitted_capacity),
    )


def test_the_highest_tier_is_placed_first() -> None:
    economy, premium = group(5, "near", tier=Tier.economy), group(5, "near", tier=Tier.premium)
    plan = plan_drain([economy, premium], world(near=6), WEIGHTS)
    assert [(row.group.tier, row.count) for row in plan.rows] == [(Tier.premium, 5), (Tier.economy, 1)]


def test_sets_that_overlap_do_not_count_the_same_slots_twice() -> None:
    plan = plan_drain([group(5, "here", "near"), group(5, "far", "here", "near")], world(near=5, far=2), WEIGHTS)
    assert plan.sessions_short == 3
    assert [room.slots_short for room in plan.sets] == [0, 3]


def test_sessions_of_an_engine_stay_in_the_region_when_its_other_engines_have_room() -> None:
    model = ModelFacts("general", "2", "en", slots_total=500, slots_free=490)
    here = without_engines(facts("here", 500), [((model,), 500, 490)])
    assert (here.slots_total, here.models[0].slots_free, here.free_slots_of_tier["premium"]) == (500, 10, 10)
    after = RegionSnapshot(0, (here, facts("near", 100, rtt_ms=30.0)))
    plan = plan_drain([group(12, "here", "near")], after, WEIGHTS)
    assert [(row.to_region, row.count) for row in plan.rows] == [("here", 10), ("near", 2)]


def test_a_place_is_taken_from_one_of_the_models_that_fit() -> None:
    two = (ModelFacts("a", "1", "en", 10, 3), ModelFacts("b", "1", "en", 10, 2))
    after = RegionSnapshot(0, (facts("near", 5, models=two),))
    plan = plan_drain([replace(group(6, "near"), model="")], after, WEIGHTS)
    assert (plan.rows[0].count, plan.sessions_short) == (5, 1)


def test_nobody_has_to_move_where_nobody_is() -> None:
    assert plan_drain([], world(near=5), WEIGHTS).sessions == 0


groups = st.builds(
    SessionGroup,
    permitted=st.frozensets(st.sampled_from([*NAMES, "gone"]), min_size=1),
    tier=st.sampled_from(Tier),
    model=st.sampled_from(["general", ""]),
    model_version=st.sampled_from(["", "2", "3"]),
    language=st.sampled_from(["en", "de", ""]),
    region=st.just("here"),
    count=st.integers(0, 300),
)


@given(
    groups=st.lists(groups, max_size=6),
    free=st.tuples(st.integers(-5, 200), st.integers(-5, 200), st.integers(-5, 200)),
    state=st.sampled_from(RegionState),
    health=st.sampled_from(Health),
)
@settings(deadline=None, max_examples=60)
def test_nobody_leaves_his_set_no_region_is_overfilled_and_everyone_is_counted(
    groups: list[SessionGroup], free: tuple[int, int, int], state: RegionState, health: Health
) -> None:
    near, far, beyond = free
    snapshot = world(near=near, far=far, beyond=beyond)
    odd = tuple(replace(one, state=state, health=health) if one.name == "far" else one for one in snapshot.regions)
    plan = plan_drain(groups, RegionSnapshot(0, odd), WEIGHTS)
    room = {"near": near, "far": far if state is RegionState.active else 0, "beyond": beyond}
    taken = Counter[str]()
    for row in plan.rows:
        assert row.to_region in row.group.permitted
        assert row.count > 0
        taken[row.to_region] += row.count
    assert all(count <= max(0, room.get(name, 0)) for name, count in taken.items())
    assert plan.sessions == sum(one.count for one in groups)
    assert sum(each.slots_needed for each in plan.sets) == plan.sessions
    assert sum(each.slots_short for each in plan.sets) == plan.sessions_short
    for shortfall in plan.shortfalls:
        assert set(shortfall.ruled_out) == shortfall.group.permitted
