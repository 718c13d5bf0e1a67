"""Sessions that run already follow the regions of now: they go to one that joined, and move out of one that left."""

from __future__ import annotations

import pytest

from engines.interface import LossReason, Lost, MoveReason, Progress, RefusalReason
from gateway.metrics import GatewayMetrics
from gateway.session_registry import SessionRegistry
from gateway.wire.messages import Audio
from policies.facts import Caller
from policies.plans import Tier
from policies.residency.permitted import Permitted
from regions.placing import SessionPlace
from tests.fakes.policy_sets import GivenPolicySets
from tests.gateway.test_session_runner import PCM_100_MS, Session
from tests.regions.placement_world import World, turns

pytestmark = pytest.mark.unit

CALLER = Caller("acme", "", "", "", frozenset(), "", 0)


async def running(world: World, permitted: set[str]) -> tuple[Session, SessionRegistry]:
    """A session with an engine in north, that has spoken."""
    place = SessionPlace("s", Permitted.everywhere_in(frozenset(permitted)), Tier.standard, 0)
    session = Session(placed=world.placement.session(place))
    registry = SessionRegistry(GatewayMetrics(), lambda: session.now_ms)
    registry.add(session.runner, CALLER)
    await turns()
    assert len(world.pools["north"].streams) == 1
    session.runner.client_message(Audio(PCM_100_MS))
    return session, registry


async def test_a_region_that_joined_takes_over_a_session_that_ran_before() -> None:
    world = World()
    session, registry = await running(world, {"north"})
    await registry.permit_anew(GivenPolicySets.all_in("north", "east"))
    await turns()
    assert not world.pools["east"].streams, "nothing moves that need not"
    world.pools["north"].refuses = RefusalReason.no_free_slot
    lost = world.pools["north"].last
    lost.say(Lost(lost.opened.epoch, LossReason.link_lost))
    await turns()
    assert bytes(world.pools["east"].last.audio) == PCM_100_MS
    assert not session.runner.machine.is_closed


async def test_a_session_moves_out_of_a_region_that_left_before_it_is_cut_off() -> None:
    world = World()
    session, registry = await running(world, {"north", "east"})
    await registry.permit_anew(GivenPolicySets.all_in("east"))
    await turns()
    old, new = world.pools["north"].last, world.pools["east"].last
    assert bytes(new.audio) == PCM_100_MS, "from the last final on, beside the old one"
    new.say(Progress(new.opened.epoch, len(PCM_100_MS) // 2, 0))
    assert old.is_cancelled
    assert session.counted(session.metrics.sessions_moved, reason=MoveReason.outside_policy.value) == 1
