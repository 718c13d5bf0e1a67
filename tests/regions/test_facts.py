"""Snapshots of all regions: made anew, never changed, and true to what links and catalog say."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from engines.interface import StreamOptions
from policies.routing_facts import RegionState
from regions.catalog import Catalog
from regions.discovery.interface import EngineAddress
from tests.harness.waiting import until
from tests.regions.placement_world import World, catalog_of, spec, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from policies.routing_facts import RegionFacts, RegionSnapshot

pytestmark = pytest.mark.unit


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.facts.run())
    try:
        await turns()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def facts_of(snapshot: RegionSnapshot, name: str) -> RegionFacts:
    return next(region for region in snapshot.regions if region.name == name)


async def test_all_regions_of_the_catalog_are_in_a_snapshot_with_what_is_known() -> None:
    world = World()
    snapshot = world.facts.snapshot
    assert [region.name for region in snapshot.regions] == ["north", "east", "south"]
    north, east, south = snapshot.regions
    assert (north.is_local, north.rtt_ms, east.is_local) == (True, 0.0, False)
    assert 10 < east.rtt_ms < 20 < south.rtt_ms
    assert (east.age_ms, east.slots_total, east.free_slots_of_tier["premium"]) == (0, 10, 10)


async def test_without_a_catalog_this_region_is_all_there_is() -> None:
    world = World(catalog=Catalog())
    (here,) = world.facts.snapshot.regions
    assert (here.name, here.has_engines, here.state) == ("north", True, RegionState.active)


async def test_a_placement_is_counted_at_once_and_only_for_what_was_asked() -> None:
    world = World()
    before = world.facts.snapshot
    world.facts.placed("east", StreamOptions())
    world.facts.placed("east", StreamOptions(model="other"))
    east = facts_of(world.facts.snapshot, "east")
    assert (east.placed_since_report, east.free_slots_of_tier["standard"], east.models[0].slots_free) == (2, 8, 9)
    assert facts_of(before, "east").free_slots_of_tier["standard"] == 10
    world.facts.placed("atlantis", StreamOptions())


async def test_a_snapshot_is_the_same_object_until_something_changes() -> None:
    world = World()
    assert world.facts.snapshot is world.facts.snapshot


async def test_many_who_ask_for_a_look_get_one() -> None:
    world = World()
    world.now_ms += 50
    assert [world.facts.look_again() for _ in range(3)] == [True, False, False]


async def test_snapshots_come_by_themselves_and_listeners_hear_of_them() -> None:
    world = World()
    heard: list[RegionSnapshot] = []
    world.facts.watch(heard.append)
    async with running(world):
        await until(lambda: len(heard) >= 3, what="three snapshots")


async def test_peers_are_linked_while_they_are_in_the_catalog_and_this_region_is_its_owners() -> None:
    world = World()
    async with running(world):
        assert [world.pools[name].runs for name in ("north", "east", "south")] == [0, 1, 1]
        regions = dict(world.catalog.regions)
        del regions["south"]
        world.facts.catalog_changed(Catalog(regions, "d2"))
        await until(lambda: world.pools["south"].ends == 1, what="the end of its links")
        assert world.facts.region("south") is None
    assert [world.pools[name].ends for name in ("north", "east", "south")] == [0, 1, 1]


async def test_links_to_a_region_that_left_stay_while_streams_are_open_but_not_for_ever() -> None:
    world = World()
    async with running(world):
        world.pools["south"].link.open_streams = 1
        world.facts.catalog_changed(catalog_of(spec("north"), spec("east")))
        await turns()
        assert (world.pools["south"].ends, {region.name for region in world.facts.leaving()}) == (0, {"south"})
        world.now_ms += 60_000
        await until(lambda: world.pools["south"].ends == 1, what="the end of its links")
        assert world.facts.leaving() == set()


async def test_a_region_that_comes_into_the_catalog_is_linked() -> None:
    world = World(catalog=catalog_of(spec("north")))
    async with running(world):
        world.facts.catalog_changed(catalog_of(spec("north"), spec("west")))
        await until(lambda: "west" in world.pools and world.pools["west"].runs == 1, what="its links")
        assert [region.name for region in world.facts.snapshot.regions] == ["north", "west"]


async def test_a_region_with_other_relays_is_linked_to_them() -> None:
    world = World()
    moved = replace(spec("east"), relays=("east-2.example:8085",))
    world.facts.catalog_changed(catalog_of(spec("north"), moved, spec("south")))
    assert world.pools["east"].members == (EngineAddress("east-2.example:8085"),)
    assert world.pools["south"].members == ()


async def test_a_region_is_left_by_the_catalogs_word_or_by_its_own() -> None:
    world = World()
    assert world.facts.leaving() == set()
    world.wants("east", RegionState.draining)
    world.wants("south", RegionState.disabled)
    east, south = world.facts.region("east"), world.facts.region("south")
    assert east is not None
    assert south is not None
    assert world.facts.leaving() == {east, south}
    assert (world.facts.is_over(east), world.facts.is_over(south)) == (False, True)


async def test_where_this_region_is_taken_out_of_the_catalog_nothing_is_placed_in_it() -> None:
    world = World()
    world.facts.catalog_changed(catalog_of(spec("east")))
    assert [region.name for region in world.facts.snapshot.regions] == ["east"]


async def test_a_gateway_that_is_stopped_ends_its_links() -> None:
    world = World()
    async with running(world):
        pass
    assert [world.pools[name].ends for name in ("east", "south")] == [1, 1]


async def test_clients_are_sent_to_no_region_that_is_out_of_reach_or_leaves() -> None:
    world = World()
    world.pools["east"].link.load = None
    world.wants("south", RegionState.draining)
    world.look()
    assert [world.facts.takes_clients(name) for name in ("north", "east", "south")] == [True, False, False]
