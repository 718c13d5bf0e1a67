"""The audit log of a region: a stream that all of its gateways share, and on the way there a file of this one's.

These must stay true:
  - When `record` returns, the event is in the stream or in the file; where Redis is away or there is none, in the file.
  - The stream is bounded, and who is no operator cannot fill it, whether or not a token says who that is: such refusals
    are counted together.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog

from gateway.errors import Reason
from policies.orders import OrderKind
from policies.residency.record import DecisionRecord, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.decision_log.interface import DecisionLog
    from gateway.operations.audit_event import AuditEvent
    from gateway.operations.audit_spool import AuditSpool
    from gateway.operations.metrics import OperationsMetrics

MAX_SHOWN = 1_000
_RETRY_S = 2.0
_ORDERS = frozenset(kind.value for kind in OrderKind)
_NOBODIES_PER_MINUTE = 30
_MINUTE_MS = 60_000

log = structlog.get_logger("operations")


class StreamAway(Exception):
    """The stream cannot be written or read now; the text is a word for why."""


class AuditStream(Protocol):
    """Where all gateways of a region keep their events."""

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Raises StreamAway; they may be there all the same."""

    async def newest(self, count: int) -> list[AuditEvent]:
        """Newest first. Raises StreamAway."""


class AuditPage(NamedTuple):
    """Newest first. `is_complete`: False where the stream could not be read, and only this gateway's file was."""

    events: tuple[AuditEvent, ...]
    is_complete: bool


class AuditLog:
    """`run` delivers what the stream would not take at first.

    Args:
        stream: None: the file alone keeps events.
        now_ms: Unix milliseconds.
        decisions: orders are on record there too, as sessions move and end by them; None: nowhere.
    """

    def __init__(
        self,
        stream: AuditStream | None,
        spool: AuditSpool,
        metrics: OperationsMetrics,
        *,
        now_ms: Callable[[], int],
        decisions: DecisionLog | None = None,
    ) -> None:
        self._decisions = decisions
        self._stream = stream
        self._spool = spool
        self._metrics = metrics
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        """Of the spool, which threads write, and of deliveries."""
        self._has_waiting = asyncio.Event()
        self._nobodies = _Bounded()
        self._no_operators = _Bounded()
        self._is_delayed = False
        metrics.watch(lambda: 0 if stream is None else len(spool))
        if len(spool):
            self._has_waiting.set()

    async def record(self, event: AuditEvent) -> None:
        """Write it down; `id` is given here. Never raises for want of a store."""
        self._metrics.acted(event.act.value, event.outcome)
        bounded = self._bounded_for(event)
        if bounded is not None:
            times = bounded.take(self._now_ms())
            if not times:
                return
            event = msgspec.structs.replace(event, times=times)
        event = msgspec.structs.replace(event, id=uuid.uuid4().hex)
        _log(event)
        if self._decisions is not None and event.kind in _ORDERS and not event.is_refused:
            self._decisions.record(order_on_record(event))
        async with self._turn:
            # While others wait, it comes after them.
            if len(self._spool) == 0 and await self._deliver((event,)):
                return
            has_room = await asyncio.to_thread(self._spool.add, event)
        if not has_room and self._stream is not None:
            log.error("audit.dropped")
        if self._spool.error:
            log.error("audit.unwritable", why=self._spool.error)
        self._has_waiting.set()

    async def recent(self, limit: int) -> AuditPage:
        """The last ones of the region, and those of this gateway that wait."""
        count = max(1, min(limit, MAX_SHOWN))
        waiting = self._spool.events
        is_complete = self._stream is None
        kept: list[AuditEvent] = []
        if self._stream is not None:
            with suppress(StreamAway):
                kept = await self._stream.newest(count)
                is_complete = True
        by_id = {event.id: event for event in (*kept, *waiting)}
        newest = sorted(by_id.values(), key=lambda event: event.at_unix_ms, reverse=True)
        return AuditPage(tuple(newest[:count]), is_complete)

    async def run(self) -> None:
        """Deliver what waits, until cancelled."""
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            if self._stream is None:
                continue
            while len(self._spool):
                async with self._turn:
                    events = self._spool.events
                    if await self._deliver(events):
                        await asyncio.to_thread(self._spool.delivered, events)
                        log.info("audit.delivered", events=len(events))
                        continue
                await asyncio.sleep(_RETRY_S)

    async def _deliver(self, events: Sequence[AuditEvent]) -> bool:
        """Whether they are in the stream; an event that comes twice is known by its id."""
        if self._stream is None:
            return False
        try:
            await self._stream.append(events)
        except StreamAway as away:
            if not self._is_delayed:
                log.warning("audit.delayed", why=str(away))
            self._is_delayed = True
            return False
        self._is_delayed = False
        return True

    def _bounded_for(self, event: AuditEvent) -> _Bounded | None:
        """None: it is an operator's."""
        if not event.is_refused:
            return None
        if not event.who:
            return self._nobodies
        return self._no_operators if event.outcome == Reason.scope_missing.value else None


class _Bounded:
    """So many in a minute are written down, and the next one stands for those that were not."""

    def __init__(self) -> None:
        self._written_at_ms: deque[int] = deque()
        self._left_out = 0

    def take(self, now_ms: int) -> int:
        """For how many this one stands; 0: it is not written down."""
        while self._written_at_ms and self._written_at_ms[0] <= now_ms - _MINUTE_MS:
            self._written_at_ms.popleft()
        if len(self._written_at_ms) >= _NOBODIES_PER_MINUTE:
            self._left_out += 1
            return 0
        self._written_at_ms.append(now_ms)
        times, self._left_out = 1 + self._left_out, 0
        return times


def order_on_record(event: AuditEvent) -> DecisionRecord:
    """What stands in the decision log of an act on an order."""
    return DecisionRecord(
        event=Event.drain,
        action=f"{event.act.value} {event.kind}".strip(),
        detail=f"{event.target}: {event.outcome}, by {event.who or 'nobody'}; order {event.order_id}; {event.why}",
    )


def _log(event: AuditEvent) -> None:
    if event.is_refused:
        log.warning(
            "operation.refused",
            act=event.act.value,
            reason=event.outcome,
            who=event.who,
            target=event.target,
            kind=event.kind,
            order=event.order_id,
            why=event.why,
            times=event.times,
        )
        return
    log.info(
        "operation.done",
        act=event.act.value,
        outcome=event.outcome,
        who=event.who,
        target=event.target,
        kind=event.kind,
        order=event.order_id,
        why=event.why,
        before=event.before,
        after=event.after,
    )
