"""The decision log of a process: a queue that nobody waits at, and a thread that writes.

These must stay true:
  - A record that was given is on the disk, waits, or is counted as missed; where one waits too long or is missed, the
    log is not writable.
  - The order of the chain is the order in which records were given.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog

from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import ENDED, GAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.decision_log.chain_writer import ChainWriter
    from gateway.decision_log.metrics import DecisionLogMetrics
    from gateway.decision_log.settings import DecisionLogSettings

log = structlog.get_logger("decision_log")

_LOOKS_S = 1.0
"""How often an idle log looks whether it could write."""
_RETRY_S = 0.5


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class _Given(NamedTuple):
    """A record, and when it was given: on the monotonic clock, and in Unix milliseconds. `is_written`: who waits."""

    given_s: float
    at_ms: int
    record: DecisionRecord
    is_written: threading.Event | None


class FileDecisionLog:
    """A DecisionLog (gateway.decision_log.interface). `start` it; `close` writes what waits."""

    def __init__(
        self,
        chain: ChainWriter,
        settings: DecisionLogSettings,
        metrics: DecisionLogMetrics,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._chain = chain
        self._settings = settings
        self._metrics = metrics
        self._now_ms = now_ms
        self._waiting: deque[_Given] = deque()
        self._taken: list[_Given] = []
        self._missed = 0
        """Since the last record that says how many."""
        self._missed_lock = threading.Lock()
        self._fault = "not written yet"
        self._wake = threading.Event()
        self._closing = threading.Event()
        self.on_turn: Callable[[], None] = lambda: None
        """After each turn of the thread in which nothing failed."""
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        metrics.watch(lambda: self.is_writable, lambda: self.num_waiting)

    # DecisionLog

    def record(self, record: DecisionRecord) -> None:
        self._give(record, None)

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        is_written = threading.Event()
        self._give(record, is_written)
        return is_written.wait(within_s)

    def _give(self, record: DecisionRecord, is_written: threading.Event | None) -> None:
        if len(self._waiting) >= self._settings.max_waiting_records or self._closing.is_set():
            with self._missed_lock:
                self._missed += 1
            self._metrics.missed.inc()
            return
        self._waiting.append(_Given(time.monotonic(), self._now_ms(), record, is_written))
        if not self._wake.is_set():
            self._wake.set()

    @property
    def num_waiting(self) -> int:
        """Records that were given and are not on the disk."""
        return len(self._waiting) + len(self._taken)

    @property
    def is_writable(self) -> bool:
        if self._fault or self._missed or self._closing.is_set():
            return False
        try:
            oldest_s = (self._taken or self._waiting)[0].given_s
        except IndexError:
            return True
        return (time.monotonic() - oldest_s) * 1_000 < self._settings.stalled_ms

    # The thread

    def start(self) -> None:
        """The log is writable, or known not to be, when this returns: unless the disk hangs."""
        first = threading.Event()
        self._first = first
        self._thread.start()
        first.wait(self._settings.stalled_ms / 1_000)

    def close(self, within_s: float) -> bool:
        """Write what waits and end the chain; whether that was done in time."""
        self.record(DecisionRecord(event=Event.log, action=ENDED))
        self._closing.set()
        self._wake.set()
        self._thread.join(within_s)
        return not self._thread.is_alive() and not self._waiting and not self._taken

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                began_s = time.monotonic()
                self._wake.clear()
                is_good = self._turn()
                self._first.set()
                pause_s = self._settings.commit_ms / 1_000 if is_good else _RETRY_S
                self._closing.wait(max(0.0, began_s + pause_s - time.monotonic()))
                self._wake.wait(self._idle_s())
            while self._turn():
                if not self._waiting:
                    self._end()
                    break
        finally:
            # Reached with a fault of ours too: nobody is to believe that records are kept.
            self._fault = self._fault or "ended"
            self._first.set()

    def _idle_s(self) -> float:
        due_ms = self._chain.checkpoint_in_ms()
        return _LOOKS_S if due_ms is None else min(_LOOKS_S, due_ms / 1_000)

    def _turn(self) -> bool:
        """Write what waits and sign what is due. Whether that was possible."""
        chain = self._chain
        began_s = time.monotonic()
        try:
            chain.check()
            self._take()
            has_news = bool(self._taken)
            while self._taken:
                if chain.room() <= 0:
                    chain.checkpoint()
                self._write(self._taken[: chain.room()])
                self._rotate_if_due()
            if chain.is_checkpoint_due:
                chain.checkpoint()
            self._rotate_if_due()
            fault = self._want_of_room()
        except OSError as error:
            fault = errno.errorcode.get(error.errno or 0, str(error) or "unknown")
            self._metrics.failures.labels(fault if error.errno else "lost").inc()
            self._told(fault)
            return False
        if has_news:
            self._metrics.commits.observe(time.monotonic() - began_s)
        self._told(fault)
        self.on_turn()
        return True

    def _take(self) -> None:
        if self._taken:
            return
        with self._missed_lock:
            missed, self._missed = self._missed, 0
        if missed:
            gap = DecisionRecord(event=Event.log, action=GAP, detail=f"{missed} records could not be kept")
            self._taken.append(_Given(time.monotonic(), self._now_ms(), gap, None))
        for _ in range(len(self._waiting)):
            self._taken.append(self._waiting.popleft())

    def _write(self, part: list[_Given]) -> None:
        self._chain.write([(given.at_ms, given.record) for given in part])
        del self._taken[: len(part)]
        self._metrics.records.inc(len(part))
        for given in part:
            if given.is_written is not None:
                given.is_written.set()

    def _rotate_if_due(self) -> None:
        if self._chain.is_rotation_due:
            self._chain.rotate()
            self._chain.check()

    def _end(self) -> None:
        try:
            self._chain.close()
        except OSError as error:
            self._told(errno.errorcode.get(error.errno or 0, "unknown"))

    def _want_of_room(self) -> str:
        least = self._settings.min_free_bytes
        if not least:
            return ""
        there = os.statvfs(self._settings.directory)
        return "little_room" if there.f_bavail * there.f_frsize < least else ""

    def _told(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.error("decision_log.unwritable", why=fault, waiting=self.num_waiting)
        elif self._fault and not fault:
            log.info("decision_log.writable", writer=self._chain.writer)
        self._fault = fault
