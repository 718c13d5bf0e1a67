"""Placement over real parts: an engine here, and one behind the relay of another region, over mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    RefusalReason,
    Refused,
    StreamOptions,
)
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import CapacityClass, RegionState, RuledOut
from regions.catalog import Catalog, Location, PoolSpec, RegionSpec
from regions.facts import Facts
from regions.links.certificates import Certificates, LinkTls
from regions.links.pool import LinkPool
from regions.links.settings import LinkSettings, PoolSettings
from regions.placement import RegionalPlacement
from regions.placement_metrics import PlacementMetrics
from regions.placement_rules import PlacementRules
from regions.placing import SessionPlace
from tests.harness.engine import running_engine
from tests.harness.relay_world import HERE, THERE, relay_world
from tests.harness.waiting import until
from tests.regions.placement_world import Caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.harness.relay_world import RelayWorld

pytestmark = pytest.mark.integration

SCRIPTED = ("--recogniser", "scripted", "--slots", "4", "--heartbeat-interval-ms", "50")
RULES = PlacementRules(facts_every_ms=50, drain_spread_ms=0)
SPEECH = [bytes([number, 0]) * 1_600 for number in range(1, 8)]
SPEECH_SAMPLES = 7 * 1_600


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def spec(name: str, *relays: str, cost_permille: int = 1_000) -> RegionSpec:
    return RegionSpec(
        name=name,
        location=Location(50.0, 8.0),
        country="DE",
        jurisdictions=frozenset({"eu"}),
        operator="us",
        gateways=(),
        relays=relays,
        pools=(PoolSpec("local", CapacityClass.reserved, "cpu", (("scripted", ""),), cost_permille),),
    )


class Gateway:
    """What a gateway in `here` has for placing. On one machine both are as near: the other region costs more."""

    def __init__(self, world: RelayWorld, engine: str) -> None:
        self.catalog = Catalog({HERE: spec(HERE), THERE: spec(THERE, f"127.0.0.1:{world.port}", cost_permille=3_000)})
        self.local = LinkPool(PoolSettings(addresses=(engine,)), gateway=f"{HERE}/1")
        certificates = Certificates(world.authority.issue(HERE))
        links = LinkSettings(connect_timeout_ms=3_000, heartbeat_interval_ms=50)
        self.facts = Facts(
            HERE,
            catalog=self.catalog,
            local=self.local,
            dial=lambda region: LinkPool(
                PoolSettings(addresses=region.relays, link=links),
                gateway=f"{HERE}/1",
                region=region.name,
                tls=LinkTls(certificates, region.name),
            ),
            rules=RULES,
            now_ms=monotonic_ms,
        )
        metrics = PlacementMetrics(CollectorRegistry())
        self.placement = RegionalPlacement(self.facts, RULES, metrics, now_ms=monotonic_ms)
        world.run(self.local.run())
        world.run(self.facts.run())

    def session(self, *permitted: str) -> Caller:
        return Caller(
            self.placement.session(SessionPlace("s1", Permitted.everywhere_in(frozenset(permitted)), Tier.standard, 0))
        )

    def wants(self, name: str, state: RegionState) -> None:
        regions = dict(self.catalog.regions)
        regions[name] = replace(regions[name], state=state)
        self.facts.catalog_changed(Catalog(regions, "d2"))

    async def until_ready(self) -> None:
        await until(
            lambda: all(region.slots_total and region.is_rtt_measured for region in self.placement.snapshot.regions),
            what="facts of both regions",
        )


async def answered(caller: Caller, *, is_replay: bool = False) -> None:
    caller.open(is_replay=is_replay)
    await until(lambda: bool(caller.last), what="an answer")
    assert isinstance(caller.last[0], Granted), caller.last


def say_all(caller: Caller) -> None:
    stream = caller.pool._streams[-1]
    for pcm16 in SPEECH:
        stream.send_audio(pcm16)
    stream.finish(SPEECH_SAMPLES)


def texts(caller: Caller) -> list[str]:
    return [event.text for event in caller.last if isinstance(event, FinalResult)]


async def until_finished(caller: Caller) -> None:
    await until(
        lambda: any(isinstance(event, FinalResult) and event.reason is EndReason.finish for event in caller.last),
        what="the last final",
    )


@contextlib.asynccontextmanager
async def two_regions(folder: Path, **arguments: Sequence[str]) -> AsyncIterator[tuple[RelayWorld, Gateway, int]]:
    """And the process of the engine here. `arguments`: more of the engine `here`, or `there`."""
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    async with contextlib.AsyncExitStack() as stack:
        here, there = await asyncio.gather(
            *(
                stack.enter_async_context(
                    running_engine(folder / name, *SCRIPTED, "--pool", "local", *arguments.get(name, ()))
                )
                for name in ("here", "there")
            )
        )
        world = await stack.enter_async_context(relay_world(folder))
        await world.start(there.address)
        world.status = msgspec.structs.replace(world.status, free_slots_of_tier={"standard": 4, "premium": 4})
        gateway = Gateway(world, here.address)
        await gateway.until_ready()
        yield world, gateway, here.pid


async def test_a_session_is_placed_near_moves_when_it_must_and_never_leaves_its_set(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (world, gateway, here):
        caller, fenced = gateway.session(HERE, THERE), gateway.session(HERE)
        await answered(caller)
        await answered(fenced)
        assert (caller.pool.region, fenced.pool.region) == (HERE, HERE)

        # Its region drains: it hears so and goes on in the other one; who may not, stays.
        gateway.wants(HERE, RegionState.draining)
        await until(lambda: len(caller.last) > 1, what="the word to move")
        assert caller.last[1:] == [MoveAway(1, MoveReason.region_draining, RULES.move_within_ms)]
        await answered(caller, is_replay=True)
        assert caller.pool.region == THERE
        say_all(caller)
        await until_finished(caller)
        assert texts(caller)
        assert len(fenced.last) == 1

        # Active again, its engine dies: sessions that may go on in the other region.
        gateway.wants(HERE, RegionState.active)
        local = gateway.session(HERE, THERE)
        await answered(local)
        os.kill(here, signal.SIGKILL)
        await until(lambda: local.last[-1] == Lost(1, LossReason.link_lost), what="the loss")
        await answered(local, is_replay=True)
        assert (local.pool.region, fenced.last[-1]) == (THERE, Lost(1, LossReason.link_lost))
        fenced.open(is_replay=True)
        await until(lambda: bool(fenced.last), what="an answer")
        assert fenced.last == [Refused(2, RefusalReason.unreachable, RULES.retry_after_ms)]

        # And the other region's relay goes down: what is there is handed back, and nothing is placed there any more.
        await world.relay.stop(flush_ms=50)
        await until(lambda: isinstance(local.last[-1], Lost), what="the loss")
        await until(lambda: not gateway.placement.snapshot.regions[1].is_reachable, what="the end of the link")
        place = SessionPlace("s2", Permitted.everywhere_in(frozenset({THERE})), Tier.standard, 0)
        ruled_out = gateway.placement.decide(place, StreamOptions()).ruled_out
        assert ruled_out == {HERE: RuledOut.outside_policy, THERE: RuledOut.unreachable}
