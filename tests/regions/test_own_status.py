"""What this region says of itself to its peers."""

from __future__ import annotations

import pytest

from policies.routing_facts import CapacityClass, RegionState
from policies.tier_slots import TierHeadroom
from regions.links.region_status import RegionStatus
from regions.own_status import OwnStatus
from tests.fakes.region_pool import load_of
from tests.regions.placement_world import World, catalog_of, spec

pytestmark = pytest.mark.unit


async def test_it_tells_of_its_engines_as_they_are_at_that_moment() -> None:
    world = World()
    status = OwnStatus(world.facts, TierHeadroom())
    world.pools["north"].link.load = load_of(slots=20, used=5, queued_audio_ms=500)
    assert status() == RegionStatus(
        region="north",
        state=RegionState.active,
        free_slots_of_tier={"premium": 15, "standard": 15, "economy": 13},
        live_permille=1_000,
        spot_permille=0,
        lag_ms=100,
    )


async def test_it_tells_how_much_room_there_is_on_machines_whose_class_is_known() -> None:
    world = World()
    world.pools["north"].link.load = load_of(slots=20, used=5)
    world.pools["north"].capacity = CapacityClass.spot
    assert OwnStatus(world.facts, TierHeadroom())().free_slots_of_class == {"spot": 15}


async def test_it_tells_what_its_operators_want() -> None:
    world = World()
    world.wants("north", RegionState.draining)
    assert OwnStatus(world.facts, TierHeadroom())().state is RegionState.draining


async def test_a_region_that_left_the_catalog_wants_nobody() -> None:
    world = World()
    world.facts.catalog_changed(catalog_of(spec("east")))
    assert OwnStatus(world.facts, TierHeadroom())() == RegionStatus(region="north", state=RegionState.disabled)
