"""One sink's courier: retries, deaths, duplicates, a full disk, Redis away; with a real Redis and a sink that obeys."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.exporter.courier import Courier
from gateway.metering.exporter.log_thread import LogThread
from gateway.metering.exporter.metrics import ExporterMetrics
from gateway.metering.exporter.sent_log import State
from gateway.metering.exporter.settings import ExporterSettings
from gateway.metering.exporter.streams import MeterStreams
from gateway.metering.sinks.interface import Accepted, Outcome, Outgoing, Refused, TryAgain
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.harness.exporter import NAMES, now_ms, record, unacknowledged, usage_event
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


class ObedientSink:
    """Answers what the test said, batch by batch; then yes. `sent`: every batch that it was given."""

    def __init__(self) -> None:
        self.answers: deque[Outcome] = deque()
        self.sent: list[list[Outgoing]] = []
        self.is_open = True
        self.gate = asyncio.Event()
        self.gate.set()

    async def is_ready(self) -> bool:
        return self.is_open

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.sent.append(list(batch))
        await self.gate.wait()
        return [self.answers.popleft() if self.answers else Accepted()] * len(batch)

    async def aclose(self) -> None: ...


class SettablePermission:
    """`denied`: projects whose usage may not leave; a change is told."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.asked: set[tuple[str, str]] = set()
        self._callbacks: list[Callable[[], None]] = []

    def permits(self, project: str, region: str) -> bool:
        self.asked.add((project, region))
        return project not in self.denied

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def deny(self, *projects: str) -> None:
        self.denied = set(projects)
        for callback in self._callbacks:
            callback()


class World:
    """A courier at work, and what it works with."""

    def __init__(self, server: RedisServer, folder: Path, **settings: Any) -> None:
        sink = {"kind": "http", "name": "s", "url": "http://x/", "batch_events": 10, "concurrent_requests": 1}
        limits = {name: settings.pop(name) for name in ("max_in_flight", "settle_ms") if name in settings}
        tree = {"sinks": [sink | limits], "state_directory": folder, "poll_ms": 10} | settings
        tree = {"retry": {"first_ms": 1, "max_ms": 5}} | tree
        self.settings = ExporterSettings.model_validate(tree)
        self.server = server
        self.sink = ObedientSink()
        self.log = LogThread(folder)
        self.link = RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=2_000))
        self.streams = MeterStreams(self.link, groups=["s"], consumer="me", is_cluster=False)
        self.metrics = ExporterMetrics(CollectorRegistry())
        self.permission = SettablePermission()
        self.courier = Courier(
            self.sink, self.settings.sinks[0], self.settings, self.streams, self.log, self.metrics, self.permission
        )

    async def follow(self, *orgs: str) -> None:
        await self.streams.make_groups(orgs)
        self.courier.follow(list(orgs))

    def left(self) -> int:
        return unacknowledged(self.server, "s", "acme")

    def count(self, counter: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"patchbay_exporter_{counter}", {"sink": "s"} | labels) or 0.0


@pytest.fixture
async def world(redis_server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(redis_server, tmp_path / "state", **getattr(request, "param", {}))
    running = asyncio.ensure_future(made.courier.run())
    yield made
    made.sink.gate.set()
    made.courier.stop()
    async with asyncio.timeout(60):
        await running
    await made.log.aclose()
    await made.link.aclose()
    gc.collect()  # connections that broke are closed by their loop, not after it


async def test_an_event_is_acknowledged_only_when_it_stands_in_the_log(world: World) -> None:
    event = usage_event("acme", 1)
    world.sink.gate.clear()
    record(world.server, event)
    await world.follow("acme")
    await until(lambda: len(world.sink.sent) == 1)
    (standing,) = await world.log.ask(lambda log: log.standings("s", [(event.hour, event.id)]))
    assert standing is not None
    assert standing.state is State.trying, "before the first attempt"
    assert world.left() == 1
    world.sink.gate.set()
    await until(lambda: world.left() == 0)
    (standing,) = await world.log.ask(lambda log: log.standings("s", [(event.hour, event.id)]))
    assert standing is not None
    assert standing.state is State.delivered


async def test_an_entry_whose_event_was_delivered_or_is_being_sent_is_not_sent_again(world: World) -> None:
    event = usage_event("acme", 1)
    world.sink.gate.clear()
    record(world.server, event, event)
    await world.follow("acme")
    await until(lambda: len(world.sink.sent) == 1)
    record(world.server, event)
    await until(lambda: world.count("duplicates_total") == 2)
    world.sink.gate.set()
    await until(lambda: world.left() == 0)
    record(world.server, event)
    await until(lambda: world.count("duplicates_total") == 3)
    await until(lambda: world.left() == 0)
    assert [[out.event_id for out in batch] for batch in world.sink.sent] == [[event.id]]


@pytest.mark.parametrize("world", [{"retry": {"first_ms": 1, "max_ms": 5, "max_age_ms": 150}}], indirect=True)
async def test_an_event_that_got_no_yes_in_time_becomes_a_dead_letter_that_says_whether_it_may_have_arrived(
    world: World,
) -> None:
    world.sink.answers.extend([TryAgain("timed_out", may_have_arrived=True)] * 1_000)
    record(world.server, usage_event("acme", 1))
    await world.follow("acme")
    await until(lambda: world.left() == 0)
    (letter,) = await world.log.ask(lambda log: list(log.dead_letters()))
    assert (letter.death.reason, letter.death.may_have_arrived) == ("expired", True)
    assert world.count("failed_total", reason="timed_out") >= 2
    assert world.sink.sent[0][0].was_tried is False
    assert world.sink.sent[1][0].was_tried is True


async def test_the_receivers_retry_after_is_waited_for(world: World) -> None:
    world.sink.answers.append(TryAgain("status_429", 300))
    record(world.server, usage_event("acme", 1))
    await world.follow("acme")
    began_s = asyncio.get_running_loop().time()
    await until(lambda: world.left() == 0)
    assert asyncio.get_running_loop().time() - began_s >= 0.3


@pytest.mark.parametrize("world", [{"max_in_flight": 7}], indirect=True)
async def test_no_more_than_the_bound_is_held_while_the_receiver_takes_nothing(world: World) -> None:
    world.sink.gate.clear()
    record(world.server, *(usage_event("acme", number) for number in range(50)))
    await world.follow("acme")
    await until(lambda: len(world.sink.sent) == 1)
    with world.server.client() as client:
        await until(lambda: client.xpending(NAMES.meter("acme"), "s")["pending"] == 7)
        world.sink.gate.set()
        await until(lambda: world.left() == 0)
    assert sum(len(batch) for batch in world.sink.sent) == 50
    assert all(len(batch) <= 7 for batch in world.sink.sent)


async def test_a_sink_that_is_not_ready_reads_nothing(world: World) -> None:
    world.sink.is_open = False
    record(world.server, usage_event("acme", 1))
    await world.follow("acme")
    await asyncio.wait_for(world.log.ask(lambda _log: None), 60)
    with world.server.client() as client:
        assert client.xpending(NAMES.meter("acme"), "s")["pending"] == 0
    world.sink.is_open = True
    await until(lambda: world.left() == 0)


async def test_what_cannot_be_sent_dies_with_its_reason_and_holds_up_nobody(world: World) -> None:
    with world.server.client() as client:
        client.xadd(NAMES.meter("acme"), {"first": "no number"})
    old = usage_event("acme", 1, at_ms=now_ms() - 41 * 24 * MS_PER_HOUR)
    record(world.server, old, usage_event("acme", 2, rater="moon_phase"), usage_event("acme", 3))
    world.sink.answers.append(Refused("status_400", "why"))
    await world.follow("acme")
    await until(lambda: world.left() == 0)
    letters = await world.log.ask(lambda log: list(log.dead_letters()))
    assert sorted(letter.death.reason for letter in letters) == ["malformed", "malformed", "status_400", "too_old"]


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_nothing_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = usage_event("acme", 1)
    world.sink.gate.clear()
    record(world.server, event)
    await world.follow("acme")
    await until(lambda: len(world.sink.sent) == 1)

    def full(*_arguments: object, **_named: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("gateway.metering.exporter.sent_log.SentLog.delivered", full)
        world.sink.gate.set()
        await until(lambda: (world.metrics.registry.get_sample_value("patchbay_exporter_disk_failures_total") or 0) > 0)
        assert world.left() == 1
    await until(lambda: world.left() == 0)
    assert len(world.sink.sent) == 1


async def test_redis_may_go_and_come_back(world: World) -> None:
    record(world.server, usage_event("acme", 1))
    await world.follow("acme")
    await until(lambda: world.left() == 0)
    world.server.restart_empty()
    with contextlib.suppress(Exception):
        await world.follow("acme")
    record(world.server, usage_event("acme", 2))
    await until(lambda: len(world.sink.sent) == 2)
    await until(lambda: world.left() == 0)


async def test_what_may_not_leave_stays_in_redis_takes_no_place_and_holds_up_nobody(world: World) -> None:
    world.permission.deny("acme/secret")
    held = [usage_event("acme", number, project="secret") for number in range(30)]
    record(world.server, *held, usage_event("acme", 99))
    await world.follow("acme")
    await until(lambda: world.left() == 30 and world.count("not_permitted") == 30)
    assert [[out.event.labels.session_id for out in batch] for batch in world.sink.sent] == [["acme-99"]]
    await until(lambda: world.courier.room == world.settings.sinks[0].max_in_flight)
    assert world.count("died_total", reason="not_permitted") == 0
    world.permission.deny()
    assert world.courier.has_lost_answer
    after = b"0-0"
    while entries := await world.streams.take_over("s", "acme", b"me", limit=10, after=after):
        after = entries[-1][0].entry
        await world.courier.take_in(entries)
    await until(lambda: world.left() == 0)
    assert {out.event_id for batch in world.sink.sent[1:] for out in batch} == {event.id for event in held}


async def test_rules_that_change_before_the_sending_are_obeyed(world: World) -> None:
    world.sink.gate.clear()
    first, second = usage_event("acme", 1), usage_event("acme", 2)
    record(world.server, first)
    await world.follow("acme")
    await until(lambda: len(world.sink.sent) == 1)
    record(world.server, second)
    await until(lambda: world.count("held") >= 2)
    world.permission.deny("acme/p")
    world.sink.gate.set()
    await until(lambda: world.left() == 1 and world.count("not_permitted") == 1)
    assert [out.event_id for batch in world.sink.sent for out in batch] == [first.id]
    assert world.permission.asked == {("acme/p", "")}
