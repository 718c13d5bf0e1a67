"""Whatever happens, no stream is opened outside of the policy set, and every open is answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.interface import Granted, LossReason, Lost, MoveAway, RefusalReason, Refused
from policies.routing_facts import RegionState
from regions.placed_stream import PlacedStream
from tests.fakes.region_pool import load_of
from tests.regions.placement_world import EVERYWHERE, RULES, Caller, World, permitted_of, turns

pytestmark = pytest.mark.unit

NAMES = sorted(EVERYWHERE)
SETS = st.frozensets(st.sampled_from([*NAMES, "atlantis"]))
STEPS = st.one_of(
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("lose"), st.sampled_from(list(LossReason))),
    st.tuples(st.just("cancel"), st.sampled_from([None, LossReason.silent, LossReason.slow])),
    st.tuples(st.just("permit"), SETS),
    st.tuples(st.just("state"), st.sampled_from(NAMES), st.sampled_from(list(RegionState))),
    st.tuples(st.just("refuse"), st.sampled_from(NAMES), st.sampled_from([None, *RefusalReason])),
    st.tuples(st.just("load"), st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 12))),
    st.tuples(st.just("fail"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, 12_000)),
    st.tuples(st.just("turn"), st.integers(0, 12)),
)


class Fence:
    """One world and one session; every open is checked at the moment in which a region is asked."""

    def __init__(self, permitted: frozenset[str]) -> None:
        self.world = World(replace(RULES, outside_policy_ms=0, hold_ms=0))
        self.permitted = permitted
        self.caller: Caller = self.world.session(permitted)
        self.streams: list[PlacedStream] = []
        self.outside: list[str] = []
        for name, pool in self.world.pools.items():
            pool.watch_opens(lambda name=name: self._asked(name))

    def _asked(self, name: str) -> None:
        if name not in self.permitted:
            self.outside.append(name)

    async def do(self, step: tuple[object, ...]) -> None:
        match step:
            case ("open", bool(is_replay)):
                self.streams.append(self.caller.open(is_replay=is_replay))
            case ("lose", LossReason() as reason):
                for pool in self.world.pools.values():
                    for engine in pool.streams:
                        engine.say(Lost(engine.opened.epoch, reason))
            case ("cancel", reason) if self.streams:
                self.streams.pop(0).cancel(reason)  # type: ignore[arg-type]
            case ("permit", frozenset() as permitted):
                self.permitted = permitted
                self.caller.pool.permit(permitted_of(permitted))
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

    async def settle(self) -> None:
        """Timers of nothing and what they lead to."""
        for _ in range(6):
            await asyncio.sleep(0.001)
            await turns()


@settings(max_examples=60, deadline=None)
@example(
    EVERYWHERE,
    [("refuse", "north", RefusalReason.no_free_slot), ("open", False), ("permit", frozenset({"north", "south"}))],
)
@given(SETS, st.lists(STEPS, max_size=25))
def test_audio_never_leaves_the_policy_set_whatever_fails_and_whenever_it_changes(
    permitted: frozenset[str], steps: list[tuple[object, ...]]
) -> None:
    async def play() -> None:
        fence = Fence(permitted)
        for step in steps:
            await fence.do(step)
        assert fence.outside == []
        await fence.settle()
        assert fence.outside == []
        for stream in fence.caller.pool._streams:
            assert not stream.is_granted or (stream.region is not None and stream.region.name in fence.permitted)
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
