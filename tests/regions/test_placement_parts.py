"""What all sessions of a gateway share when they are placed."""

from __future__ import annotations

import pytest

from engines.interface import RefusalReason, StreamOptions
from policies.plans import Tier
from policies.routing_facts import RouteRequest
from tests.fakes.region_pool import load_of
from tests.regions.placement_world import EVERYWHERE, World

pytestmark = pytest.mark.unit


async def test_a_decision_counts_what_was_placed_a_moment_ago() -> None:
    world = World()
    parts = world.placement._parts
    request = RouteRequest(EVERYWHERE, Tier.standard, "", "", "")
    before = parts.decide(request)
    world.facts.placed("north", StreamOptions())
    after = parts.decide(request)
    assert [decision.candidates[0].free_slots for decision in (before, after)] == [10, 9]


async def test_who_finds_no_slot_here_is_demand_that_is_not_met() -> None:
    world = World()
    world.pools["north"].link.load = load_of(used=10)
    world.look()
    elsewhere, nowhere = world.session(), world.session(frozenset({"north"}))
    await elsewhere.opened()
    assert world.placement.unmet.by_model(world.now_ms) == {"": 1}
    elsewhere.pool.close()
    assert world.placement.unmet.by_model(world.now_ms) == {}, "it had a slot in another region until its end"
    await nowhere.opened()
    nowhere.pool.close()
    assert world.placement.unmet.by_model(world.now_ms) == {"": 1}, "refused; its caller may come again"


async def test_who_comes_to_a_region_without_an_engine_is_demand_on_it() -> None:
    world = World()
    world.pools["north"].link.load = None
    world.look()
    session = world.session(frozenset({"north"}))
    await session.opened()
    assert world.placement.unmet.by_model(world.now_ms) == {"": 1}


async def test_who_waited_and_got_a_slot_here_is_no_more_than_a_slot_in_use() -> None:
    world = World()
    world.pools["north"].refuses = RefusalReason.no_free_slot
    session = world.session(frozenset({"north"}))
    await session.opened()
    assert world.placement.unmet.by_model(world.now_ms) == {"": 1}
    world.pools["north"].refuses = None
    await session.opened()
    assert world.placement.unmet.by_model(world.now_ms) == {}


async def test_who_goes_elsewhere_because_this_region_is_nearly_full_is_demand_on_it() -> None:
    world = World()
    world.pools["north"].link.load = load_of(slots=100, used=95)
    world.look()
    session = world.session()
    await session.opened()
    assert session.pool.region == "east"
    assert world.placement.unmet.by_model(world.now_ms) == {"": 1}
    session.pool.close()
    assert world.placement.unmet.by_model(world.now_ms) == {}


async def test_who_is_placed_where_he_is_best_off_is_nobodys_unmet_demand() -> None:
    world = World()
    session = world.session()
    await session.opened()
    assert (session.pool.region, world.placement.unmet.by_model(world.now_ms)) == ("north", {})


async def test_operators_see_that_there_is_room_where_policy_forbids_it() -> None:
    world = World()
    world.pools["north"].link.load = load_of(used=10)
    world.look()
    await world.session(frozenset({"north"})).opened()
    figures = {
        sample.labels["region"]: sample.value
        for family in world.registry.collect()
        for sample in family.samples
        if sample.name == "patchbay_placements_forbidden_total"
    }
    assert figures.keys() == EVERYWHERE - {"north"}
    await world.session().opened()
    assert all(value == 1 for value in figures.values())
