"""The gateway's journal: usage is on this machine's disk before Redis hears of it. What the files hold: journal_store.

Writers only add to a buffer. One task, `run`, commits what gathered, at most every `group_commit_ms`, in a thread of
the journal's own; however many wait, they wait for the same sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from gateway.metering.errors import JournalFailed, JournalUnusable
from gateway.metering.journal_files import HeldDirectory
from gateway.metering.journal_store import JournalStore, StoreLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gateway.metering.entries import Slice, TabLabels, UsageEvent
    from gateway.metering.journal_interface import JournaledTab
    from gateway.metering.journal_metrics import JournalMetrics
    from gateway.metering.journal_store import Batch
    from gateway.metering.settings import JournalSettings
    from policies.plans import CallerPlan

log = structlog.get_logger()

_LONGEST_RETRY_MS = 1_000


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class FileJournal:
    """Implements Journal. Blocks while it reads what is there, so it is made before anything is served.

    `window_slices`: of an event, as the settle script has it. `run` must run; `close` writes what is left.

    Raises:
        JournalUnusable: another process has the directory, or it cannot be used or read.
    """

    def __init__(
        self,
        settings: JournalSettings,
        metrics: JournalMetrics,
        *,
        window_slices: int,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._now_ms = now_ms
        self._directory = HeldDirectory(settings.directory)
        limits = StoreLimits(retention_ms=settings.retention_s * 1_000, max_bytes=settings.max_bytes)
        try:
            self._store = JournalStore(settings.directory, limits, window_slices=window_slices)
        except OSError as error:
            self._directory.release()
            raise JournalUnusable(f"the journal in {settings.directory} cannot be read: {error.strerror}") from error
        except JournalUnusable:
            self._directory.release()
            raise
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._has_news = asyncio.Event()
        self._said = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._safe = 0
        self._writing: asyncio.Future[None] | None = None
        self._failed_in_a_row = 0
        self._is_closed = False
        self._dropped_before = 0
        self._tell_recovery()

    # Journal

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None:
        self._store.opened(labels, plan)
        self._said_more()

    def used(self, session_id: str, piece: Slice) -> None:
        if not self._store.used(session_id, piece):
            log.error("journal.unknown_session", session=session_id)
            return
        self._said_more()

    def over(self, session_id: str) -> None:
        self._store.over(session_id)
        self._said_more()

    def recorded(self, session_id: str, before: int, *, num_cuts: int = 0, last_cut: int = 0) -> None:
        self._store.recorded(session_id, before, num_cuts=num_cuts, last_cut=last_cut)
        self._said_more()

    async def committed(self) -> None:
        if self._safe >= self._said:
            return
        if self._is_closed:
            raise JournalFailed("closed")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._said, waiter))
        try:
            async with asyncio.timeout(self._settings.commit_timeout_ms / 1_000):
                await waiter
        except TimeoutError as error:
            raise JournalFailed("timeout") from error

    def left_open(self) -> Sequence[JournaledTab]:
        tabs = (self._store.tab(session_id) for session_id in self._store.recovered_sessions)
        return [tab for tab in tabs if tab is not None and tab.is_over]

    def tab(self, session_id: str) -> JournaledTab | None:
        return self._store.tab(session_id)

    def recent_events(self, *, since_ms: int = 0) -> Iterator[UsageEvent]:
        return self._store.recent_events(since_ms=since_ms)

    # Committing

    def _said_more(self) -> None:
        self._said += 1
        self._has_news.set()

    async def run(self) -> None:
        """Commit what is said, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._has_news.wait()
            began_s = loop.time()
            self._has_news.clear()
            await self._commit()
            if self._store.has_more:
                self._has_news.set()
            await asyncio.sleep(max(0.0, began_s + self._pause_ms / 1_000 - loop.time()))

    @property
    def _pause_ms(self) -> int:
        return min(self._settings.group_commit_ms << min(self._failed_in_a_row, 10), _LONGEST_RETRY_MS)

    async def _commit(self) -> None:
        """One batch. Its outcome is told to the store even if whoever waits here is cancelled."""
        loop = asyncio.get_running_loop()
        batch, upto, began_s = self._store.take(self._now_ms()), self._said, loop.time()
        writing = loop.run_in_executor(self._worker, self._store.write, batch)
        writing.add_done_callback(lambda done: self._finish(batch, upto, began_s, done))
        self._writing = writing
        with contextlib.suppress(OSError):
            await asyncio.shield(writing)

    def _finish(self, batch: Batch, upto: int, began_s: float, done: asyncio.Future[None]) -> None:
        self._writing = None
        error = done.exception()
        if error is None:
            self._wrote(batch, upto, elapsed_s=asyncio.get_running_loop().time() - began_s)
        elif isinstance(error, OSError):
            self._failed(batch, upto, error)
        else:
            raise error

    def _wrote(self, batch: Batch, upto: int, *, elapsed_s: float) -> None:
        useless = self._store.wrote(batch)
        if useless:
            self._worker.submit(_delete, useless)
        self._safe = upto
        if self._failed_in_a_row:
            log.info("journal.recovered", attempts=self._failed_in_a_row)
            self._failed_in_a_row = 0
        for waiter in self._due(upto):
            waiter.set_result(None)
        self._metrics.commits.observe(elapsed_s)
        self._measure()

    def _failed(self, batch: Batch, upto: int, error: OSError) -> None:
        self._store.failed(batch)
        reason = errno.errorcode.get(error.errno or 0, "unknown").lower()
        if not self._failed_in_a_row:
            log.error("journal.failed", reason=reason)
        self._failed_in_a_row += 1
        self._metrics.failures.labels(reason).inc()
        for waiter in self._due(upto):
            waiter.set_exception(JournalFailed(reason))
        self._measure()

    def _due(self, upto: int) -> list[asyncio.Future[None]]:
        due = [waiter for target, waiter in self._waiters if target <= upto]
        self._waiters = [(target, waiter) for target, waiter in self._waiters if target > upto]
        return [waiter for waiter in due if not waiter.done()]

    def _measure(self) -> None:
        self._metrics.size.set(self._store.total_bytes)
        self._metrics.tabs.set(len(self._store.tabs.by_number))
        self._metrics.events_dropped.inc(self._store.events_dropped - self._dropped_before)
        self._dropped_before = self._store.events_dropped

    async def close(self) -> None:
        """Write what is left and let the directory go; bounded by `commit_timeout_ms`. After `run` has ended."""
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.commit_timeout_ms / 1_000):
                while self._writing is not None:
                    await asyncio.wait([self._writing])
                if self._store.has_more:
                    await self._commit()
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(JournalFailed("closed"))
        self._waiters.clear()
        self._worker.shutdown(wait=False)
        if self._writing is None:
            self._store.close()
            self._directory.release()

    def _tell_recovery(self) -> None:
        found = self._store.recovery
        for name, damage in found.damages:
            self._metrics.damages.inc()
            at, length = damage.offset_bytes, damage.length_bytes
            if damage.is_tail:
                log.warning("journal.torn", file=name, offset_bytes=at, length_bytes=length)
            else:
                log.error("journal.damaged", file=name, offset_bytes=at, length_bytes=length)
        log.info("journal.read", records=found.records, left_open=len(self._store.recovered_sessions))
        self._measure()


def _delete(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
