"""The exporter as a process, with a real Redis and receivers that fail."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.exporter import NAMES, ExporterProcess, record, unacknowledged, usage_event
from tests.harness.faults import HalfOpen, LostReply, Reset, Status
from tests.harness.receivers import CloudEventsReceiver
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


def sink_of(receiver: CloudEventsReceiver, name: str = "meter", **settings: Any) -> dict[str, Any]:
    return {"kind": "openmeter", "name": name, "url": receiver.url, "batch_events": 20, "timeout_ms": 2_000} | settings


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Processes that end with the test."""
    with ExitStack() as stack:
        yield stack


async def test_every_event_arrives_once_though_answers_are_lost_and_the_exporter_is_killed(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    events = [usage_event(org, number) for org in ("acme", "umbra", "dotted.org") for number in range(100)]
    async with CloudEventsReceiver(seed=1) as receiver:
        receiver.faults.share = 0.3
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, sink_of(receiver)))
        record(redis_server, *events[:150])
        await until(lambda: len(receiver.events) > 60, what="the first events")
        exporter.kill()
        exporter.start()
        record(redis_server, *events[150:])
        await until(lambda: len(receiver.events) == len(events), what="all events")
        await until(lambda: unacknowledged(redis_server, "meter", "acme", "umbra", "dotted.org") == 0)
        assert {event.id: event.compute_us for event in events} == {
            event_id: event["data"]["compute_us"] for event_id, event in receiver.events.items()
        }
        assert set(receiver.counted.values()) == {1}
        assert exporter.stop() == 0
        with exporter.sent_log() as log:
            hours = [event.hour for event in events]
            sums = list(log.sums(from_hour=min(hours), to_hour=max(hours)))
        assert sum(row.compute_us for row in sums) == sum(event.compute_us for event in events)
        assert sum(row.events for row in sums) == len(events)


async def test_streams_are_trimmed_below_what_every_sink_has(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    async with AsyncExitStack() as receivers:
        quick = await receivers.enter_async_context(CloudEventsReceiver())
        slow = await receivers.enter_async_context(CloudEventsReceiver())
        slow.faults.always = Status(503)
        sinks = (sink_of(quick, "quick"), sink_of(slow, "slow", max_in_flight=50))
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, *sinks))
        record(redis_server, *(usage_event("acme", number) for number in range(300)))
        await until(lambda: len(quick.events) == 300, what="the quick sink")
        figures = await exporter.figures()
        assert figures("patchbay_exporter_held", sink="slow") <= 50
        with redis_server.client() as client:
            assert client.xlen(NAMES.meter("acme")) == 300, "the slow one has none of it"
            slow.faults.always = None
            await until(lambda: len(slow.events) == 300, what="the slow sink")
            await until(lambda: client.xlen(NAMES.meter("acme")) == 0, what="trimming")


async def test_what_is_recorded_again_after_redis_lost_everything_is_not_sent_again(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    events = [usage_event("acme", number) for number in range(40)]
    async with CloudEventsReceiver(deduplicates=False) as receiver:
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, sink_of(receiver)))
        record(redis_server, *events[:30])
        await until(lambda: len(receiver.events) == 30, what="the first events")
        await until(lambda: unacknowledged(redis_server, "meter", "acme") == 0)
        redis_server.restart_empty()
        record(redis_server, *events)
        await until(lambda: len(receiver.events) == 40, what="the events after the loss")
        await until(lambda: unacknowledged(redis_server, "meter", "acme") == 0)
        assert set(receiver.counted.values()) == {1}
        assert (await exporter.figures())("patchbay_exporter_duplicates_total", sink="meter") == 30


async def test_one_bad_event_of_a_batch_becomes_a_dead_letter_and_the_others_arrive(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    events = [usage_event("acme", number) for number in range(50)]
    bad = events[17].id
    async with CloudEventsReceiver() as receiver:
        receiver.refuses = lambda event: event["id"] == bad
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, sink_of(receiver)))
        record(redis_server, *events)
        await until(lambda: len(receiver.events) == 49, what="the others")
        await until(lambda: unacknowledged(redis_server, "meter", "acme") == 0)
        with exporter.sent_log() as log:
            (letter,) = log.dead_letters()
            assert (letter.event_id, letter.org, letter.death.reason) == (bad, "acme", "status_400")
            receiver.refuses = lambda _event: False
            assert log.mark_for_retry([letter]) == 1
            await until(lambda: bad in receiver.events, what="the dead letter's retry")
            await until(lambda: not list(log.dead_letters()))


async def test_two_exporters_share_the_work_and_one_takes_over_from_the_dead_other(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    events = [usage_event(f"org{number % 5}", number) for number in range(200)]
    orgs = [f"org{number}" for number in range(5)]
    async with CloudEventsReceiver(seed=3) as receiver:
        receiver.faults.then(HalfOpen(), LostReply(), Reset(), Status(429, "0"))
        state = str(tmp_path / "shared")
        one, two = (
            stack.enter_context(
                ExporterProcess(
                    tmp_path / name, redis_server.url, sink_of(receiver, timeout_ms=700), state_directory=state
                )
            )
            for name in ("one", "two")
        )
        record(redis_server, *events)
        await until(lambda: len(receiver.events) > 20, what="the first events")
        one.kill()
        await until(lambda: len(receiver.events) == 200, what="all events")
        await until(lambda: unacknowledged(redis_server, "meter", *orgs) == 0)
        assert set(receiver.counted.values()) == {1}
        assert two.stop() == 0
