"""What operators can name, what remains when it is emptied, and what the rule about the last region is told."""

from __future__ import annotations

import pytest

from gateway.operations.places import Places
from gateway.operations.refusals import ActRefused
from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target
from policies.routing_facts import RegionState
from tests.fakes.region_pool import FakeLink, load_of
from tests.regions.placement_world import World

pytestmark = pytest.mark.unit

POOL = Target(Scope.pool, "north", "spot")


@pytest.fixture
async def world() -> World:
    world = World()
    world.pools["north"].links.append(FakeLink("north:2", load=load_of(slots=4, used=1, pool="spot")))
    world.hear()
    world.pools["north"].links[1].hear(world.now_ms)
    world.look()
    return world


def places_of(world: World, orders: Orders | None = None) -> Places:
    return Places(world.facts, world.pools["north"], lambda: orders or Orders())


async def test_regions_pools_and_engines_are_found_by_name(world: World) -> None:
    places = places_of(world)
    assert places.target(Scope.region, "", "") == Target(Scope.region, "north")
    assert places.target(Scope.pool, "", "spot") == POOL
    assert places.target(Scope.engine, "north", "north:2") == Target(Scope.engine, "north", "north:2")


@pytest.mark.parametrize(
    ("scope", "region", "name", "why"),
    [
        (Scope.region, "mars", "", "known: north, east, south"),
        (Scope.pool, "east", "l4", "ask a gateway of east"),
        (Scope.pool, "", "gold", "known: l4, spot"),
        (Scope.engine, "", "north:3", "known: north:1, north:2"),
    ],
)
async def test_what_is_not_there_is_refused_with_what_is(
    world: World, scope: Scope, region: str, name: str, why: str
) -> None:
    with pytest.raises(ActRefused, match=why):
        places_of(world).target(scope, region, name)


async def test_a_region_without_a_pool_has_so_many_slots_less(world: World) -> None:
    before, after = world.facts.snapshot.regions[0], places_of(world).after(POOL, OrderKind.drain).regions[0]
    assert (before.slots_total, after.slots_total) == (14, 10)
    assert after.models[0].slots_free == before.models[0].slots_free - 3
    assert after.state is RegionState.active


async def test_a_region_that_is_emptied_drains_or_is_disabled(world: World) -> None:
    target = Target(Scope.region, "east")
    for kind, state in ((OrderKind.drain, RegionState.draining), (OrderKind.disable, RegionState.disabled)):
        regions = {region.name: region.state for region in places_of(world).after(target, kind).regions}
        assert regions == {"north": RegionState.active, "east": state, "south": RegionState.active}


async def test_a_region_that_is_out_of_reach_or_has_no_engine_left_does_not_work(world: World) -> None:
    world.pools["south"].link.load = None
    world.pools["east"].link.load = load_of(slots=0)
    world.look()
    parts = places_of(world).parts()
    assert {name: part.is_working for name, part in parts.items()} == {"north": True, "east": False, "south": False}
    assert {engine.pool for engine in parts["north"].engines} == {"l4", "spot"}
    assert parts["east"].engines == ()


async def test_the_last_engine_counts_although_its_link_is_down_for_a_moment(world: World) -> None:
    for link in world.pools["north"].links:
        link.load = None
    world.look()
    here = places_of(world).parts()["north"]
    assert {name for engine in here.engines for name in engine.names} == {"north:1", "north:2"}


async def test_what_was_ordered_is_shown_with_the_pool_and_its_engines(world: World) -> None:
    order = Order("0" * 12, POOL, OrderKind.drain, OrderState.in_force, "why", "ada", 0)
    places = places_of(world, Orders(1, (order,)))
    assert [row["order"] for row in places.engines_json()] == [None, order.id]
    assert {row["name"]: (row["order"], row["slots_used"]) for row in places.pools_json()} == {
        "l4": (None, 0),
        "spot": (order.id, 1),
    }
