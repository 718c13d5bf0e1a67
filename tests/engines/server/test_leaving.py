"""Promises of how an engine leaves, over a real host."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from engines.interface import LossReason, Lost, OpenStream, StreamOptions
from engines.recognition.scripted import Script, ScriptedRecogniser
from engines.server.leaving import Leaving
from engines.server.shelf import LoadedModel
from engines.server.streams import HostSettings, StreamHost
from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engines.interface import StreamEvent

pytestmark = pytest.mark.unit


class Sink:
    def __init__(self) -> None:
        self.events: list[StreamEvent] = []

    def send(self, stream_id: int, event: StreamEvent) -> None:
        self.events.append(event)

    def ended(self, stream_id: int) -> None:
        """Nobody asks."""


@pytest.fixture
async def host() -> AsyncIterator[StreamHost]:
    host = StreamHost(HostSettings(pool="p"), on_death=[].append)
    recogniser = ScriptedRecogniser(Script(), max_slots=2)
    host.shelf.add(LoadedModel(recogniser, recogniser.rehearse(max_batch=2), "a path"))
    host.start()
    yield host
    assert host.stop(timeout_ms=2_000)


class Left:
    """How often the drain began."""

    def __init__(self, host: StreamHost, *drains_on: NoticeKind) -> None:
        self.times = 0
        self.leaving = Leaving(host, drains_on=frozenset(drains_on), on_begin=self._begin)

    def _begin(self) -> None:
        self.times += 1


def notice(
    kind: NoticeKind = NoticeKind.interruption, *, name: str = "e", lead_ms: int | None = None
) -> PreemptionNotice:
    return PreemptionNotice(
        source="x",
        event_id=name,
        kind=kind,
        action=MachineAction.terminate,
        told_at_ms=int(time.monotonic() * 1_000),
        lead_ms=lead_ms,
        confidence=Confidence.unproven if lead_ms is None else Confidence.proven,
    )


def opened(host: StreamHost) -> Sink:
    sink = Sink()
    asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    assert host.open(sink, 1, asked) is not None
    return sink


async def test_an_interruption_begins_the_drain_at_once_and_once(host: StreamHost) -> None:
    left = Left(host)
    left.leaving.noticed(notice(name="a"))
    left.leaving.noticed(notice(name="b"))
    assert (left.times, host.is_draining) == (1, True)
    assert 5_000 < host.leaves_in_ms <= 15_000
    assert left.leaving.left_for("x") == {"a", "b"}
    assert left.leaving.left_for("y") == frozenset()
    await left.leaving.until_left()


async def test_streams_that_stay_are_handed_back_at_the_earliest_of_all_deadlines(host: StreamHost) -> None:
    left, sink = Left(host), opened(host)
    left.leaving.noticed(notice(lead_ms=120_000))
    leaving = asyncio.create_task(left.leaving.until_left())
    await asyncio.sleep(0)
    left.leaving.noticed(notice(NoticeKind.shutdown, name="s", lead_ms=100))
    async with asyncio.timeout(60):
        await leaving
    assert sink.events[-1] == Lost(1, LossReason.drained)


async def test_a_later_notice_gives_no_time_back(host: StreamHost) -> None:
    left, sink = Left(host), opened(host)
    left.leaving.noticed(notice(NoticeKind.shutdown, lead_ms=100))
    left.leaving.noticed(notice(name="late", lead_ms=120_000))
    async with asyncio.timeout(60):
        await left.leaving.until_left()
    assert sink.events[-1] == Lost(1, LossReason.drained)


async def test_a_notice_that_comes_after_the_last_stream_is_gone_changes_nothing(host: StreamHost) -> None:
    left = Left(host)
    left.leaving.noticed(notice(lead_ms=120_000))
    await left.leaving.until_left()
    left.leaving.noticed(notice(NoticeKind.shutdown, name="s", lead_ms=100))
    assert left.times == 1


async def test_a_machine_at_risk_serves_on_until_the_risk_is_withdrawn(host: StreamHost) -> None:
    left = Left(host)
    left.leaving.noticed(notice(NoticeKind.rebalance, name="a"))
    left.leaving.noticed(notice(NoticeKind.maintenance, name="b", lead_ms=3_600_000))
    assert (left.times, host.is_at_risk, host.is_draining) == (0, True, False)
    left.leaving.withdrawn("x", "a")
    assert host.is_at_risk
    left.leaving.withdrawn("x", "b")
    left.leaving.withdrawn("x", "never told")
    assert not host.is_at_risk


async def test_maintenance_that_is_near_begins_the_drain_by_itself(host: StreamHost) -> None:
    left = Left(host)
    left.leaving.noticed(notice(NoticeKind.maintenance, lead_ms=120_050))
    assert left.times == 0
    async with asyncio.timeout(60):
        while not left.times:
            await asyncio.sleep(0.01)
    assert host.is_draining


async def test_a_recommendation_empties_the_engine_where_that_is_wished(host: StreamHost) -> None:
    left = Left(host, NoticeKind.rebalance)
    left.leaving.noticed(notice(NoticeKind.rebalance))
    assert left.times == 1
