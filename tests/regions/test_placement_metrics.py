"""What operators watch of placement."""

from __future__ import annotations

import pytest

from policies.routing_facts import RegionState
from tests.regions.placement_world import World, catalog_of, spec

pytestmark = pytest.mark.unit


async def test_each_region_of_the_catalog_has_its_figures() -> None:
    world = World()
    world.pools["east"].link.hear(world.now_ms, rtt_ms=12.5, clock_offset_ms=-1_500)
    world.wants("south", RegionState.draining)
    world.pools["north"].link.load = None
    world.look()
    assert world.count("patchbay_region_rtt_seconds", region="east") == 0.0125
    assert world.count("patchbay_region_clock_offset_seconds", region="east") == -1.5
    assert world.count("patchbay_region_health", region="east") == 1.0
    assert world.count("patchbay_region_slots", region="east") == 10
    figures = [
        (world.count("patchbay_region_reachable", region=name), world.count("patchbay_region_active", region=name))
        for name in ("north", "east", "south")
    ]
    assert figures == [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]


async def test_what_is_not_known_has_no_figure() -> None:
    world = World()
    assert world.registry.get_sample_value("patchbay_region_rtt_seconds", {"region": "south"}) is None
    assert world.registry.get_sample_value("patchbay_region_clock_offset_seconds", {"region": "south"}) is None


async def test_a_region_that_left_the_catalog_has_no_figures_any_more() -> None:
    world = World()
    world.facts.catalog_changed(catalog_of(spec("north"), spec("east")))
    assert world.registry.get_sample_value("patchbay_region_health", {"region": "south"}) is None
