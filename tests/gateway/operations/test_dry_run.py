"""A dry run counts the sessions that are meant, names gateways that were silent, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.operations.dry_run import DryRun
from gateway.operations.places import Places
from policies.orders import OrderKind, Orders, Scope, Target
from policies.routing import RoutingWeights
from regions.orders.reports import RegionGroups, SessionGroupFacts
from tests.fakes.region_pool import load_of
from tests.regions.placement_world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.unit


def group(count: int, *, region: str = "north", pool: str = "l4", engine: str = "north:1") -> SessionGroupFacts:
    return SessionGroupFacts(
        permitted=("north", "east"),
        tier="standard",
        model="",
        model_version="",
        language="",
        region=region,
        pool=pool,
        engine=engine,
        count=count,
    )


class Sessions:
    def __init__(self, groups: Sequence[SessionGroupFacts], silent: tuple[str, ...] = ()) -> None:
        self.orders = Orders()
        self._said = RegionGroups(tuple(groups), ("north/1",), silent)

    async def groups(self) -> RegionGroups:
        return self._said


async def plan(target: Target, *groups: SessionGroupFacts, silent: tuple[str, ...] = ()) -> dict[str, Any]:
    world = World()
    world.pools["north"].link.load = load_of(used=7)
    world.look()
    sessions = Sessions(groups, silent)
    places = Places(world.facts, world.pools["north"], lambda: sessions.orders)
    return await DryRun(places, sessions, RoutingWeights(), lambda: 5).plan(target, OrderKind.drain, pace_per_s=2)


NORTH = Target(Scope.region, "north")


async def test_sessions_of_the_region_are_placed_elsewhere_and_those_of_peers_are_counted() -> None:
    said = await plan(NORTH, group(3), group(2), group(4, region="east"), silent=("north/2",))
    assert [(row["count"], row["from"], row["to"]) for row in said["rows"]] == [(5, "north", "east")]
    assert (said["sessions"], said["sessions_of_other_regions"], said["moving_s_at_pace"]) == (5, 2, 3)
    assert (said["gateways_asked"], said["gateways_silent"]) == (["north/1"], ["north/2"])


async def test_streams_of_peers_are_counted_and_not_planned() -> None:
    of_peers = SessionGroupFacts(
        permitted=(), tier="standard", model="", model_version="", language="", region="north", pool="l4", count=4
    )
    said = await plan(NORTH, group(3), of_peers)
    assert (said["sessions"], said["shortfalls"], said["suffices"]) == (3, [], True)
    assert said["sessions_of_other_regions"] == 4


async def test_a_plan_that_lacks_sessions_does_not_say_that_there_is_room() -> None:
    said = await plan(NORTH, group(3), silent=("north/2",))
    assert (said["sessions_short"], said["is_complete"], said["suffices"]) == (0, False, False)


async def test_of_a_pool_and_of_an_engine_only_their_own_sessions_are_meant() -> None:
    others = group(4, pool="spot", engine="north:2")
    assert (await plan(Target(Scope.pool, "north", "l4"), group(3), others))["sessions"] == 3
    assert (await plan(Target(Scope.engine, "north", "north:1"), group(3), others))["sessions"] == 3


async def test_what_finds_no_place_is_told_with_the_reason_of_each_region() -> None:
    said = await plan(NORTH, group(12))
    (short,) = said["shortfalls"]
    assert (short["count"], short["ruled_out"]) == (2, {"east": "no_free_slot", "north": "draining"})
    assert (said["suffices"], said["policy_sets"][0]["slots_short"]) == (False, 2)


async def test_groups_that_a_gateway_could_not_tell_apart_are_counted_as_unknown() -> None:
    rest = SessionGroupFacts(
        permitted=(), tier="", model="", model_version="", language="", region="north", pool="l4", count=6
    )
    assert (await plan(NORTH, rest))["sessions_unknown"] == 6
