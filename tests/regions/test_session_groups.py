"""Live sessions in groups that are alike to placement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import CapacityClass
from regions.session_groups import session_groups
from tests.regions.placement_world import EVERYWHERE, World
from tests.regions.test_orders_carried_out import Engines, Stream

if TYPE_CHECKING:
    from regions.links.pool import LinkPool

pytestmark = pytest.mark.unit


async def test_sessions_that_are_alike_are_one_group_and_peers_streams_are_their_own() -> None:
    world = World()
    callers = [world.session(), world.session(), world.session(frozenset({"east"}), tier=Tier.premium)]
    for caller in callers:
        await caller.opened()
    engines = Engines()
    engines.there = [Stream(engines, "of-a-peer")]
    pool: LinkPool = engines  # type: ignore[assignment]
    groups = {(group.permitted, group.tier): group for group in session_groups(world.placement, pool, "north")}
    assert set(groups) == {
        (tuple(sorted(EVERYWHERE)), "standard"),
        (("east",), "premium"),
        ((), "standard"),
    }
    assert groups[tuple(sorted(EVERYWHERE)), "standard"].count == 2
    assert groups[("east",), "premium"].region == "east"
    of_peer = groups[(), "standard"]
    assert (of_peer.engine, of_peer.pool, of_peer.session_ids) == ("10.0.0.1:80", "spot", ("of-a-peer",))


async def test_sessions_that_may_be_on_other_machines_are_a_group_of_their_own() -> None:
    world = World()
    reserved = (CapacityClass.reserved,)
    fenced = replace(Permitted.everywhere_in(EVERYWHERE), classes={"east": frozenset(reserved)})
    for caller in (world.session(), world.session(fenced)):
        await caller.opened()
    pool: LinkPool = Engines()  # type: ignore[assignment]
    groups = session_groups(world.placement, pool, "north")
    assert sorted(group.classes for group in groups) == [(), (("east", reserved),)]
