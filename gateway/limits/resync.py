"""After Redis may have lost data: events that the journal still has are given to it again, before tabs are restored.

These must stay true:
  - Events of a session go oldest first, and before the session's tab is made anew: of an open tab, all events before
    what it says to be recorded count as there.
  - It is done once at the start of each process too: Redis may have lost data while no gateway of ours was there.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import structlog

from gateway.limits.calls import Record
from gateway.redis_link.client import reconnect_after_ms
from gateway.redis_link.errors import AwayReason, RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.quota_calls import QuotaCalls
    from gateway.limits.tabs import Tab
    from gateway.metering.entries import UsageEvent

log = structlog.get_logger("gateway")

_CHUNK = 256
"""Events in one round trip."""
_FOUND = 4_096
"""Events looked through in one go for those of live sessions."""
_PAUSE_S = 0.01
"""Between round trips: sessions come first."""


class Resync:
    """One per process.

    `events`: of the journal, none older than Redis knows tabs for, unless it lost them. `ours`: the sessions whose tabs
    this process keeps.
    """

    def __init__(
        self,
        calls: QuotaCalls,
        events: Callable[[], Iterator[UsageEvent]],
        metrics: LimiterMetrics,
        *,
        monotonic_ms: Callable[[], int],
        ours: Container[str],
        failed: Callable[[RedisAway, int], None],
        returned: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._events = events
        self._metrics = metrics
        self._monotonic_ms = monotonic_ms
        self._ours = ours
        self._failed = failed
        self._returned = returned
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self._num_wanted = 0
        self._are_ours_given = False
        self.is_done = False
        """Redis has what the journal knows."""

    def want(self) -> None:
        """Redis was found to lack something."""
        self._num_wanted += 1
        self._are_ours_given = self.is_done = False
        self._is_wanted.set()

    def may_restore(self, tab: Tab) -> bool:
        """A tab of which there is an event waits until those of live sessions were given again."""
        return self._are_ours_given or tab.recorded == 0

    async def run(self) -> None:
        """For ever."""
        attempt = 0
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            self._metrics.resyncs.inc()
            began_at_ms = self._monotonic_ms()
            try:
                num_events = await self._record_all()
            except RedisAway as away:
                self._failed(away, began_at_ms)
                self._is_wanted.set()
                attempt += 1
                await asyncio.sleep(reconnect_after_ms(attempt) / 1_000)
                continue
            attempt = 0
            if not self._is_wanted.is_set():
                self.is_done = True
            log.info("limiter.resynced", events=num_events, elapsed_ms=self._monotonic_ms() - began_at_ms)

    async def _record_all(self) -> int:
        """How many events there are."""
        num_events = 0
        await self._record_ours()
        events = self._events()
        while chunk := await asyncio.to_thread(_next, events, _CHUNK):
            if not self._are_ours_given:
                await self._record_ours()
            num_events += len(chunk)
            await self._record(chunk)
        return num_events

    async def _record_ours(self) -> None:
        """Those of live sessions, which have no limit until their tabs are restored; they wait for no others."""
        number = self._num_wanted
        events = self._events()
        while found := await asyncio.to_thread(_next, events, _FOUND):
            ours = [event for event in found if event.labels.session_id in self._ours]
            for at in range(0, len(ours), _CHUNK):
                await self._record(ours[at : at + _CHUNK])
            await asyncio.sleep(_PAUSE_S)
        if number == self._num_wanted:
            self._are_ours_given = True
            self._returned()

    async def _record(self, chunk: Sequence[UsageEvent]) -> None:
        by_org: dict[str, list[Record]] = {}
        for event in chunk:
            by_org.setdefault(event.labels.org, []).append(Record(event))
        for outcome in await self._calls.many(list(by_org.items())):
            if isinstance(outcome, RedisAway):
                if outcome.why is not AwayReason.broken:  # which is of that org alone
                    raise outcome
                self._metrics.failures.labels(outcome.why.value).inc()
        self._metrics.rerecorded.inc(len(chunk))
        await asyncio.sleep(_PAUSE_S)


def _next(events: Iterator[UsageEvent], number: int) -> list[UsageEvent]:
    return list(itertools.islice(events, number))
