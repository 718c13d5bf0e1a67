from __future__ import annotations

import pytest

from policies.plans import Tier
from regions.simulator.scenario import Fleet, FleetKind, SpotMarket
from regions.simulator.simulation import World
from tests.regions.simulator.small_world import EU, RESERVED, caller, quiet_world

pytestmark = pytest.mark.unit
CALM = SpotMarket(short_permille=0, mean_life_s=1e9)


def filled(world: World, *regions: str, tier: Tier) -> int:
    """Callers of a tier until all slots of the EU that they may take are taken; how many."""
    number = 0
    while world.tally.counts["calls_refused"] == 0:
        world.sessions.arrive(caller(number, tier=tier, profile="eu"))
        number += 1
        world.agenda.run_until(world.agenda.now_ms + 1_500)
    return number


def test_sessions_overflow_within_their_policy_set_and_are_refused_when_all_of_it_is_full() -> None:
    world = quiet_world(RESERVED)
    slots = sum(sum(place.room.slots_by_class.values()) for place in world.places if place.name in EU)
    assert filled(world, tier=Tier.premium) == slots + 1
    assert world.tally.counts["overflowed"] > 0
    assert world.tally.counts["outside_policy"] == 0
    assert world.places[3].room.slots_used == 0


def test_a_fleet_that_does_not_overflow_fills_the_callers_own_region_only() -> None:
    world = quiet_world(Fleet("alone", FleetKind.reserved, overflows=False))
    slots = sum(world.places[0].room.slots_by_class.values())
    assert filled(world, tier=Tier.premium) == slots + 1
    assert world.tally.counts["overflowed"] == 0


def test_one_of_a_lower_tier_ends_when_a_higher_one_finds_no_slot() -> None:
    world = quiet_world(RESERVED)
    filled(world, tier=Tier.standard)
    world.sessions.arrive(caller(100_000, tier=Tier.premium, profile="eu"))
    world.agenda.run_until(world.agenda.now_ms + 8_000)
    assert world.tally.counts["shed"] == 1
    premium = [
        each
        for place in world.places
        for engine in place.room.engines.values()
        for each in engine.sessions
        if each.caller.tier is Tier.premium
    ]
    assert len(premium) == 1
