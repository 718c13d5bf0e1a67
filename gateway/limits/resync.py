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
    from collections.abc import Callable, Iterator

    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.quota_calls import QuotaCalls
    from gateway.limits.tabs import Tab
    from gateway.metering.entries import UsageEvent
    from gateway.metering.journal_interface import Journal

log = structlog.get_logger("gateway")

_CHUNK = 256
"""Events in one round trip."""
_PAUSE_S = 0.01
"""Between round trips: sessions come first."""


class Resync:
    """One per process. `since_ms`: Unix time before which events are not given again; of those after it Redis knows
    the tabs, unless it lost them.
    """

    def __init__(
        self,
        calls: QuotaCalls,
        journal: Journal,
        metrics: LimiterMetrics,
        *,
        monotonic_ms: Callable[[], int],
        since_ms: Callable[[], int],
        failed: Callable[[RedisAway, int], None],
        returned: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._journal = journal
        self._metrics = metrics
        self._monotonic_ms = monotonic_ms
        self._since_ms = since_ms
        self._failed = failed
        self._returned = returned
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self.is_done = False
        """Redis has what the journal knows."""

    def want(self) -> None:
        """Redis was found to lack something."""
        self.is_done = False
        self._is_wanted.set()

    def may_restore(self, tab: Tab) -> bool:
        """A tab of which there is an event waits until events were given again."""
        return self.is_done or tab.recorded == 0

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
                self._returned()
            log.info("limiter.resynced", events=num_events, elapsed_ms=self._monotonic_ms() - began_at_ms)

    async def _record_all(self) -> int:
        events = self._journal.recent_events(since_ms=self._since_ms())
        num_events = 0
        while chunk := await asyncio.to_thread(_next, events):
            num_events += len(chunk)
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
        return num_events


def _next(events: Iterator[UsageEvent]) -> list[UsageEvent]:
    return list(itertools.islice(events, _CHUNK))
