"""Whatever happens, no stream is opened outside of the policy set, and every open is answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.interface import Granted, LossReason, Lost, MoveAway, MoveReason, OpenStream, RefusalReason, Refused
from policies.residency.permitted import Permitted
from policies.routing_facts import ALL_CLASSES, CapacityClass, RegionState
from regions.placed_stream import PlacedStream
from tests.fakes.region_pool import load_of, status_of
from tests.regions.placement_world import EVERYWHERE, RULES, Caller, World, turns

pytestmark = pytest.mark.unit

NAMES = sorted(EVERYWHERE)
ANY_NAMES = st.sampled_from([*NAMES, "atlantis"])
CLASSES = st.frozensets(st.sampled_from(CapacityClass))
SETS = st.one_of(
    st.frozensets(ANY_NAMES).map(Permitted.everywhere_in),
    st.builds(
        Permitted,
        process=st.frozensets(ANY_NAMES),
        failover=st.frozensets(ANY_NAMES),
        classes=st.dictionaries(ANY_NAMES, CLASSES, max_size=2),
    ),
)
ON_RESERVED = Permitted(classes={name: frozenset({CapacityClass.reserved}) for name in NAMES})
STEPS = st.one_of(
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("lose"), st.sampled_from(list(LossReason))),
    st.tuples(st.just("told"), st.sampled_from(list(MoveReason))),
    st.tuples(st.just("cancel"), st.sampled_from([None, LossReason.silent, LossReason.slow])),
    st.tuples(st.just("permit"), SETS, st.frozensets(ANY_NAMES, max_size=1)),
    st.tuples(st.just("class"), st.sampled_from(NAMES), st.sampled_from([None, *CapacityClass])),
    st.tuples(st.just("state"), st.sampled_from(NAMES), st.sampled_from(list(RegionState))),
    st.tuples(st.just("refuse"), st.sampled_from(NAMES), st.sampled_from([None, *RefusalReason])),
    st.tuples(st.just("load"), st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 12))),
    st.tuples(st.just("fail"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, 12_000)),
    st.tuples(st.just("turn"), st.integers(0, 12)),
)


class Fence:
    """One world and one session; every open is checked at the moment in which a region is asked."""

    def __init__(self, permitted: Permitted) -> None:
        self.world = World(replace(RULES, outside_policy_ms=0, hold_ms=0))
        self.permitted = permitted
        self.caller: Caller = self.world.session(permitted)
        self.streams: list[PlacedStream] = []
        self.outside: list[str] = []
        for name, pool in self.world.pools.items():
            pool.watch_opens(lambda asked, name=name: self._asked(name, asked))

    def _asked(self, name: str, asked: OpenStream) -> None:
        classes = ALL_CLASSES if asked.classes is None else asked.classes
        is_inside = name in (self.permitted.failover if asked.is_replay else self.permitted.process)
        if not is_inside or not classes or not classes <= self.permitted.classes_in(name):
            self.outside.append(name)

    def may_work_on(self, stream: PlacedStream) -> bool:
        region = stream.region
        if region is None or region.name not in self.permitted.recognising(goes_on=stream.asked.is_replay):
            return False
        return stream.capacity is None or stream.capacity in self.permitted.classes_in(region.name)

    async def do(self, step: tuple[object, ...]) -> None:
        match step:
            case ("open", bool(is_replay)):
                self.streams.append(self.caller.open(is_replay=is_replay))
            case ("lose" | "told", reason):
                self._say(reason)
            case ("cancel", reason) if self.streams:
                self.streams.pop(0).cancel(reason)  # type: ignore[arg-type]
            case ("permit" | "class", *_):
                self._do_policy(step)
            case ("state", str(name), RegionState() as state):
                self.world.wants(name, state)
                self.world.placement._look_for_leaving(self.world.placement.snapshot)
            case ("refuse", str(name), refuses):
                self.world.pools[name].refuses = refuses  # type: ignore[assignment]
            case ("load", str(name), used):
                self.world.pools[name].link.load = None if used is None else load_of(used=used)  # type: ignore[arg-type]
            case ("fail", str(name), bool(has_failed)):
                self.world.pools[name].link.has_failed_lately = has_failed
            case ("time", int(elapsed_ms)):
                self.world.look(after_ms=max(20, elapsed_ms))
            case ("turn", int(number)):
                await turns(number)
            case _:
                pass

    def _say(self, reason: object) -> None:
        """By all engines."""
        for pool in self.world.pools.values():
            for engine in pool.streams:
                epoch = engine.opened.epoch
                is_loss = isinstance(reason, LossReason)
                engine.say(Lost(epoch, reason) if is_loss else MoveAway(epoch, MoveReason(str(reason)), 600_000))  # type: ignore[arg-type]

    def _do_policy(self, step: tuple[object, ...]) -> None:
        match step:
            case ("permit", Permitted() as permitted, frozenset() as at_once):
                self.permitted = permitted
                self.caller.pool.permit(permitted, at_once=at_once)
                for stream in self.caller.pool.streams:
                    if stream.region is not None and stream.region.name in at_once and not self.may_work_on(stream):
                        assert stream.inner is None or stream.inner.is_cancelled  # type: ignore[attr-defined]
            case ("class", str(name), capacity):
                pool = self.world.pools[name]
                pool.capacity = capacity  # type: ignore[assignment]
                if name != "north":
                    classes = {} if capacity is None else {str(capacity): 10}
                    pool.link.region = status_of(name, classes=classes)

    async def settle(self) -> None:
        """Timers of nothing and what they lead to."""
        for _ in range(6):
            await asyncio.sleep(0.001)
            await turns()


@settings(max_examples=60, deadline=None)
@example(
    Permitted.everywhere_in(EVERYWHERE),
    [
        ("refuse", "north", RefusalReason.no_free_slot),
        ("open", False),
        ("permit", Permitted.everywhere_in(frozenset({"north", "south"})), frozenset()),
    ],
)
@example(
    Permitted(process=frozenset({"north"}), classes={"north": frozenset({CapacityClass.reserved})}),
    [("class", "north", CapacityClass.reserved), ("time", 100), ("open", False)],
)
@example(
    Permitted.everywhere_in(EVERYWHERE),
    [
        ("class", "east", CapacityClass.reserved),
        ("time", 100),
        ("open", True),
        ("permit", replace(ON_RESERVED, failover=frozenset({"north", "east"})), frozenset()),
        ("turn", 3),
        ("open", True),
    ],
)
@example(
    Permitted.everywhere_in(EVERYWHERE),
    [
        ("open", False),
        ("turn", 5),
        ("told", MoveReason.outside_policy),
        ("permit", Permitted.everywhere_in(frozenset({"east"})), frozenset()),
    ],
)
@given(SETS, st.lists(STEPS, max_size=25))
def test_audio_never_leaves_the_policy_set_whatever_fails_and_whenever_it_changes(
    permitted: Permitted, steps: list[tuple[object, ...]]
) -> None:
    async def play() -> None:
        fence = Fence(permitted)
        for step in steps:
            await fence.do(step)
        assert fence.outside == []
        await fence.settle()
        assert fence.outside == []
        for stream in fence.caller.pool._streams:
            assert not stream.is_granted or fence.may_work_on(stream)
        for events in fence.caller.heard.values():
            kinds = [type(event) for event in events]
            assert all(kind in (Granted, Refused, Lost, MoveAway) for kind in kinds)
            ends = [kind for kind in kinds if kind in (Refused, Lost)]
            assert len(ends) <= 1
            assert not ends or kinds[-1] is ends[0]
        fence.caller.pool.close()
        for pool in fence.world.pools.values():
            for engine in pool.streams:
                assert engine.is_over

    asyncio.run(play())
