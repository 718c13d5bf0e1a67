"""Audit events reach the stream, or wait in a file until they do; nobodies cannot fill it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from gateway.operations.audit import AuditLog, StreamAway
from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.audit_spool import AuditSpool
from gateway.operations.metrics import OperationsMetrics
from policies.residency.record import DecisionRecord, Event
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.unit

STOPPED = AuditEvent(act=Act.stop, outcome="stopped", who="ada")


class Stream:
    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.is_away = False

    async def append(self, events: Sequence[AuditEvent]) -> None:
        if self.is_away:
            raise StreamAway("unreachable")
        self.events.extend(events)

    async def newest(self, count: int) -> list[AuditEvent]:
        if self.is_away:
            raise StreamAway("unreachable")
        return self.events[::-1][:count]


def log_over(stream: Stream | None, path: Path | None = None) -> tuple[AuditLog, AuditSpool, CollectorRegistry]:
    registry, spool = CollectorRegistry(), AuditSpool(path)
    return AuditLog(stream, spool, OperationsMetrics(registry), now_ms=lambda: 5), spool, registry


async def test_an_event_is_in_the_stream_when_it_is_recorded() -> None:
    stream = Stream()
    log, spool, _ = log_over(stream)
    await log.record(STOPPED)
    assert ([event.who for event in stream.events], len(spool)) == (["ada"], 0)
    assert stream.events[0].id


async def test_while_the_stream_is_away_events_wait_in_the_file_and_are_delivered_after_a_restart(
    tmp_path: Path,
) -> None:
    stream, path = Stream(), tmp_path / "audit.jsonl"
    stream.is_away = True
    log, _, registry = log_over(stream, path)
    await log.record(STOPPED)
    assert registry.get_sample_value("patchbay_audit_events_waiting") == 1
    page = await log.recent(10)
    assert ([event.who for event in page.events], page.is_complete) == (["ada"], False)
    stream.is_away = False
    again, spool, _ = log_over(stream, path)
    delivering = asyncio.create_task(again.run())
    await until(lambda: len(spool) == 0, what="delivery")
    delivering.cancel()
    with suppress(asyncio.CancelledError):
        await delivering
    assert [event.who for event in stream.events] == ["ada"]
    assert path.read_bytes() == b""


async def test_an_event_that_was_delivered_twice_is_shown_once() -> None:
    stream = Stream()
    log, _, _ = log_over(stream)
    await log.record(STOPPED)
    stream.events *= 2
    assert len((await log.recent(10)).events) == 1


async def test_without_a_stream_the_file_is_the_log(tmp_path: Path) -> None:
    log, _, registry = log_over(None, tmp_path / "audit.jsonl")
    await log.record(STOPPED)
    page = await log.recent(10)
    assert (len(page.events), page.is_complete) == (1, True)
    assert registry.get_sample_value("patchbay_audit_events_waiting") == 0


async def test_refusals_of_callers_who_are_no_operators_cannot_fill_the_stream() -> None:
    stream = Stream()
    log, _, _ = log_over(stream)
    for _ in range(50):
        await log.record(AuditEvent(act=Act.give, outcome="scope_missing", is_refused=True, who="eve"))
    for _ in range(50):
        await log.record(AuditEvent(act=Act.confirm, outcome="same_person", is_refused=True, who="ada"))
    assert [event.who for event in stream.events] == ["eve"] * 30 + ["ada"] * 50


async def test_refusals_of_nobody_are_counted_together_and_those_of_somebody_are_not() -> None:
    stream = Stream()
    log, _, registry = log_over(stream)
    for _ in range(50):
        await log.record(AuditEvent(act=Act.give, outcome="token_missing", is_refused=True))
    await log.record(AuditEvent(act=Act.give, outcome="scope_missing", is_refused=True, who="eve"))
    assert len(stream.events) == 31
    labels = {"act": "give", "outcome": "token_missing"}
    assert registry.get_sample_value("patchbay_operations_total", labels) == 50


async def test_acts_on_orders_are_in_the_decision_log_too() -> None:
    kept: list[DecisionRecord] = []

    class Kept:
        is_writable = True

        def record(self, record: DecisionRecord) -> None:
            kept.append(record)

    log = AuditLog(
        Stream(), AuditSpool(None), OperationsMetrics(CollectorRegistry()), now_ms=lambda: 5, decisions=Kept()
    )
    await log.record(STOPPED)
    given = AuditEvent(
        act=Act.give, outcome="in_force", who="ada", target="east", kind="drain", order_id="o1", why="kernel"
    )
    await log.record(given)
    await log.record(msgspec.structs.replace(given, is_refused=True, outcome="stale"))
    assert kept == [
        DecisionRecord(event=Event.drain, action="give drain", detail="east: in_force, by ada; order o1; kernel")
    ]
