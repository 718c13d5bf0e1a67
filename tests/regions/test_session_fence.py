"""What policy permits of a session is asked at each step of its audio, by its set of that moment."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, RefusalReason, Refused
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Trigger
from policies.routing_facts import CapacityClass, Health
from regions.links.pool_stream import PoolStream
from regions.placing import Placed, SessionPlace
from tests.fakes.region_pool import status_of
from tests.harness.waiting import until
from tests.regions.placement_world import EVERYWHERE, Caller, World, turns

pytestmark = pytest.mark.unit

RESERVED, SPOT = CapacityClass.reserved, CapacityClass.spot
NORTH, EAST = frozenset({"north"}), frozenset({"east"})


def knows(world: World, **classes: CapacityClass) -> None:
    """Of these regions it is known what their machines are."""
    for name, capacity in classes.items():
        pool = world.pools[name]
        pool.capacity = capacity
        if name != "north":
            pool.link.region = status_of(name, classes={capacity.value: 10})
    world.look()


def placed_by(world: World, permitted: Permitted) -> tuple[Caller, list[Placed]]:
    told: list[Placed] = []
    place = SessionPlace("s1", permitted, Tier.standard, 0, on_placed=told.append, grant=lambda: b"a grant")
    return Caller(world.placement.session(place)), told


async def test_a_session_begins_where_it_may_begin_and_goes_on_where_it_may_go_on() -> None:
    world = World()
    caller, _ = placed_by(world, Permitted(process=NORTH, failover=EAST))
    await caller.opened()
    assert caller.pool.region == "north"
    world.pools["north"].last.say(Lost(1, LossReason.link_lost))
    await caller.opened(is_replay=True)
    assert caller.pool.region == "east"


async def test_a_stream_may_stay_where_it_began_though_it_could_not_go_on_there() -> None:
    world = World()
    caller, _ = placed_by(world, Permitted.everywhere_in(EVERYWHERE))
    stream = await caller.opened()
    caller.pool.permit(Permitted(process=NORTH, failover=EAST))
    await turns()
    assert stream.move_reason is None


async def test_each_stream_carries_the_grant_of_its_moment_and_the_machines_that_it_may_be_on() -> None:
    world = World()
    knows(world, north=RESERVED)
    caller, _ = placed_by(world, Permitted(process=NORTH, classes={"north": frozenset({RESERVED})}))
    await caller.opened()
    opened = world.pools["north"].last.opened
    assert (opened.grant, opened.classes) == (b"a grant", {RESERVED})


async def test_where_any_machine_will_do_nothing_is_said_of_machines() -> None:
    world = World()
    caller = world.session(Permitted(process=NORTH, classes={"north": frozenset(CapacityClass)}))
    stream = await caller.opened()
    assert world.pools["north"].last.opened is stream.asked


@pytest.mark.parametrize("known", [{}, {"north": SPOT, "east": SPOT}])
async def test_a_region_whose_machines_are_not_permitted_or_not_known_is_not_asked(
    known: dict[str, CapacityClass],
) -> None:
    world = World()
    knows(world, **known)
    permitted = replace(
        Permitted.everywhere_in(NORTH | EAST), classes=dict.fromkeys(("north", "east"), frozenset({RESERVED}))
    )
    caller, told = placed_by(world, permitted)
    await caller.opened()
    assert caller.last == [Refused(1, RefusalReason.no_free_slot, 500)]
    assert not any(world.pools[name].streams for name in EVERYWHERE)
    assert told == [], "that there is no room is no decision of policy"


async def test_the_next_region_is_asked_whose_machines_are_permitted() -> None:
    world = World()
    knows(world, north=SPOT, east=RESERVED)
    classes = dict.fromkeys(("north", "east"), frozenset({RESERVED}))
    caller, _ = placed_by(world, replace(Permitted.everywhere_in(NORTH | EAST), classes=classes))
    await caller.opened()
    assert caller.pool.region == "east"


async def test_a_stream_on_a_machine_that_is_forbidden_by_now_moves() -> None:
    world = World()
    knows(world, north=RESERVED, east=RESERVED)
    caller, _ = placed_by(world, Permitted.everywhere_in(NORTH | EAST))
    stream = await caller.opened()
    stream.capacity = SPOT
    caller.pool.permit(
        replace(Permitted.everywhere_in(NORTH | EAST), classes=dict.fromkeys(("north", "east"), frozenset({RESERVED})))
    )
    await turns()
    assert isinstance(caller.last[-1], MoveAway)
    assert (stream.move_reason, stream.leaves_region) == (MoveReason.outside_policy, False)
    await caller.opened(is_replay=True)
    assert caller.pool.region == "north", "on another machine of its region"


@pytest.mark.parametrize(("capacity", "stays"), [(RESERVED, True), (SPOT, False), (None, False)])
async def test_a_stream_stays_only_where_its_machine_is_known_to_be_permitted(
    capacity: CapacityClass | None, *, stays: bool
) -> None:
    world = World()
    caller, _ = placed_by(world, Permitted.everywhere_in(NORTH))
    stream = await caller.opened()
    stream.capacity = capacity
    caller.pool.permit(replace(Permitted.everywhere_in(NORTH), classes={"north": frozenset({RESERVED})}))
    assert (stream.move_reason is None) == stays


async def test_a_stream_moves_whose_machine_turns_out_to_be_of_another_class() -> None:
    world = World()
    knows(world, north=RESERVED)
    restricted = replace(Permitted.everywhere_in(NORTH), classes={"north": frozenset({RESERVED})})
    caller, _ = placed_by(world, restricted)
    stream = await caller.opened()
    replica: Any = SimpleNamespace(address="fake:1", open=lambda _stream, _on_event: SimpleNamespace())
    dispatcher: Any = SimpleNamespace(now_ms=lambda: 0)
    stream.inner = PoolStream(dispatcher, replica, stream.asked, lambda _event: None)
    caller.pool.permit(restricted)
    assert stream.move_reason is None
    world.pools["north"].capacity = SPOT
    caller.pool.permit(restricted)
    assert stream.move_reason is MoveReason.outside_policy


async def test_what_it_was_asked_by_counts_behind_a_relay() -> None:
    world = World()
    knows(world, east=RESERVED)
    both, one = frozenset(CapacityClass), frozenset({RESERVED})
    caller, _ = placed_by(world, replace(Permitted.everywhere_in(EAST), classes={"east": one}))
    stream = await caller.opened()
    caller.pool.permit(replace(Permitted.everywhere_in(EAST), classes={"east": both}))
    assert stream.move_reason is None
    caller.pool.permit(replace(Permitted.everywhere_in(EAST), classes={"east": frozenset({SPOT})}))
    assert stream.move_reason is MoveReason.outside_policy


async def test_where_a_running_session_could_go_is_asked_of_where_it_may_go_on() -> None:
    world = World()
    nowhere, _ = placed_by(world, Permitted(process=NORTH | EAST))
    stream = await nowhere.opened()
    assert nowhere.pool.decide_without(stream, "north").candidates == ()
    nowhere.pool.permit(Permitted(process=EAST))
    await until(lambda: len(nowhere.last) == 2, what="the end")
    assert nowhere.last[1:] == [Lost(1, LossReason.drained)], "at once, as it may go on nowhere"

    elsewhere, _ = placed_by(world, Permitted(process=NORTH, failover=EAST))
    stream = await elsewhere.opened()
    assert elsewhere.pool.decide_without(stream, "north").chosen == "east"
    elsewhere.pool.permit(Permitted(failover=EAST))
    await turns()
    assert isinstance(elsewhere.last[-1], MoveAway)


async def test_what_the_other_region_said_of_its_own_policy_bounds_nothing_here() -> None:
    world = World()
    caller, _ = placed_by(world, Permitted.everywhere_in(EVERYWHERE))
    await caller.opened()
    world.pools["north"].last.say(MoveAway(1, MoveReason.outside_policy, 600_000))
    caller.pool.permit(Permitted.everywhere_in(EAST))
    await until(lambda: world.pools["north"].last.is_cancelled, what="the end by our own policy")
    assert caller.last[-1] == Lost(1, LossReason.drained)


async def test_of_a_region_that_must_be_left_at_once_not_one_sample_more_goes_there() -> None:
    world = World()
    caller, _ = placed_by(world, Permitted.everywhere_in(NORTH | EAST))
    stream = await caller.opened()
    stream.send_audio(b"ab")
    caller.pool.permit(Permitted.everywhere_in(EAST), at_once=NORTH)
    stream.send_audio(b"cd")
    engine = world.pools["north"].last
    assert (bytes(engine.audio), engine.is_cancelled) == (b"ab", True)
    assert len(caller.last) == 1, "no event comes from inside a call"
    await turns()
    assert caller.last[1:] == [Lost(1, LossReason.drained)]


async def test_a_region_that_found_it_not_permitted_is_not_at_fault_and_not_asked_again_at_once() -> None:
    world = World()
    world.pools["north"].refuses = RefusalReason.not_permitted
    caller, _ = placed_by(world, Permitted.everywhere_in(NORTH | EAST))
    await caller.opened()
    assert caller.pool.region == "east"
    await caller.opened(is_replay=True)
    assert [len(world.pools[name].streams) for name in ("north", "east")] == [1, 2]
    assert world.facts.region("north").health.state(world.now_ms) is Health.admitting  # type: ignore[union-attr]


async def test_every_placement_is_told_with_what_was_permitted_then() -> None:
    world = World()
    knows(world, north=RESERVED)
    caller, told = placed_by(world, Permitted(process=NORTH, failover=EAST, classes={"north": frozenset({RESERVED})}))
    await caller.opened()
    world.pools["north"].last.say(Lost(1, LossReason.link_lost))
    await caller.opened(is_replay=True)
    caller.pool.permit(Permitted(process=NORTH))
    await until(lambda: isinstance(caller.last[-1], Lost), what="the end")
    await caller.opened(is_replay=True)
    assert told == [
        Placed(Trigger.initial, "", "north", RESERVED, NORTH, goes_on=False),
        Placed(Trigger.failover, "north", "east", None, EAST, goes_on=True),
        Placed(Trigger.failover, "east", "", None, frozenset(), goes_on=True),
    ]
