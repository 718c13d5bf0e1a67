"""Placement as a whole: readiness, decisions, and sessions that are told to leave."""

from __future__ import annotations

import pytest

from engines.interface import MoveAway, StreamOptions
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import RegionState, RuledOut
from regions.placing import SessionPlace
from tests.fakes.region_pool import load_of
from tests.harness.waiting import until
from tests.regions.placement_world import World

pytestmark = pytest.mark.unit


async def test_it_is_ready_while_a_region_anywhere_takes_sessions() -> None:
    world = World()
    assert world.placement.is_ready
    for name in ("north", "east"):
        world.pools[name].link.load = None
    world.look()
    assert world.placement.is_ready
    world.pools["south"].link.load = load_of(is_draining=True)
    world.look()
    assert not world.placement.is_ready


async def test_a_decision_for_people_is_the_one_for_sessions() -> None:
    world = World()
    place = SessionPlace("s1", Permitted.everywhere_in(frozenset({"east", "south"})), Tier.standard, 0)
    decision = world.placement.decide(place, StreamOptions())
    assert (decision.chosen, decision.ruled_out) == ("east", {"north": RuledOut.outside_policy})
    caller = world.session(place.permitted)
    await caller.opened()
    assert (caller.pool.region, caller.pool.decision) == ("east", decision)


async def test_other_facts_can_be_explained_than_those_that_hold() -> None:
    world = World()
    snapshot = world.placement.snapshot
    world.wants("north", RegionState.disabled)
    before = world.placement.explain(
        Permitted.everywhere_in(frozenset({"north"})), Tier.standard, StreamOptions(), snapshot
    )
    after = world.placement.explain(
        Permitted.everywhere_in(frozenset({"north"})), Tier.standard, StreamOptions(), world.placement.snapshot
    )
    assert (before.chosen, after.chosen) == ("north", None)


async def test_sessions_of_a_region_that_drains_are_told_spread_over_time_by_their_draw() -> None:
    world = World()
    callers = [world.session(draw=draw) for draw in (0, 999)]
    for caller in callers:
        await caller.opened()
    world.wants("north", RegionState.draining)
    world.placement._look_for_leaving(world.placement.snapshot)
    await until(lambda: all(isinstance(caller.last[-1], MoveAway) for caller in callers), what="the word to move")


async def test_while_no_region_is_left_sessions_are_not_looked_at() -> None:
    world = World()
    caller = world.session()
    stream = await caller.opened()
    world.placement._look_for_leaving(world.placement.snapshot)
    assert (stream.timer, stream.is_told_to_move) == (None, False)
