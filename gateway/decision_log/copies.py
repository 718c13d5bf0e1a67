"""Second copies of sealed files and of the newest checkpoint: one thread for each place, which never holds the writer.

A place that cannot be reached is asked again, at longer and longer intervals; what it lacks is its backlog. What a
place has is never put there again: whoever changes a file of the log shall not have the copy changed with it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.decision_log.left_behind import last_checkpoint
from policies.residency.record_chain.chain import LogFile, checkpoints_file, found_file, parse_file_name, until_file
from policies.residency.record_chain.checkpoint import FINAL, Checkpoint, encode_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.decision_log.metrics import DecisionLogMetrics

log = structlog.get_logger("decision_log")

_LOOKS_S = 30.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0


class CopyFailed(Exception):
    """The place did not take a file; the text is a word for why, and a label of a metric."""


class CopyDiffers(Exception):
    """The place has another file of that name. It stays: a copy is evidence, and one of the two was changed."""


class CopyPlace(Protocol):
    """Every method may wait, and raises CopyFailed."""

    name: str

    def has(self, name: str, size_bytes: int) -> bool:
        """Raises CopyDiffers: one of another size."""

    def put(self, name: str, path: Path) -> None: ...

    def put_checkpoint(self, name: str, line: bytes) -> None: ...

    def sealed(self, writer: str, number: int) -> None:
        """The place has the whole file: single checkpoints of it may go."""


class Copier:
    """Keeps one place up to date. `look_again` when something was sealed; any thread may call it."""

    def __init__(
        self, directory: Path, place: CopyPlace, metrics: DecisionLogMetrics, *, checkpoint_interval_s: float
    ) -> None:
        self._directory = directory
        self._place = place
        self._metrics = metrics
        self._checkpoint_interval_s = checkpoint_interval_s
        self._done: set[str] = set()
        self._differing: set[str] = set()
        self._newest: Checkpoint | None = None
        self._told_seq = -1
        self._failed_in_a_row = 0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"decision-copy-{place.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Once more what is there, as far as time allows; the rest comes after the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join(within_s)

    def look_again(self, checkpoint: Checkpoint | None = None) -> None:
        if checkpoint is not None:
            self._newest = checkpoint
            if checkpoint.kind not in FINAL:
                return
        self._wake.set()

    def has(self, name: str) -> bool:
        """The place has this file."""
        return name in self._done

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            is_good = self._turn()
            self._failed_in_a_row = 0 if is_good else self._failed_in_a_row + 1
            retry_s = min(_FIRST_RETRY_S * 2 ** min(self._failed_in_a_row - 1, 10), _LONGEST_RETRY_S)
            self._wake.wait(min(_LOOKS_S, self._checkpoint_interval_s) if is_good else retry_s)
        self._turn()

    def _turn(self) -> bool:
        try:
            wanted = self._wanted()
        except OSError:
            return False  # the writer says what is wrong with the directory
        backlog = [name for name in wanted if name not in self._done and name not in self._differing]
        self._metrics.copy_backlog.labels(self._place.name).set(len(backlog))
        try:
            self._copy_checkpoint()
            for left, name in zip(range(len(backlog), 0, -1), backlog, strict=True):
                self._metrics.copy_backlog.labels(self._place.name).set(left)
                self._copy(name)
        except CopyFailed as failed:
            self._metrics.copy_failures.labels(self._place.name, str(failed)).inc()
            if self._failed_in_a_row == 0:
                log.warning("decision_log.copy_failed", copy=self._place.name, why=str(failed), files=len(backlog))
            return False
        except OSError:
            return False
        self._metrics.copy_backlog.labels(self._place.name).set(0)
        if self._failed_in_a_row:
            log.info("decision_log.copy_caught_up", copy=self._place.name, files=len(backlog))
        return True

    def _wanted(self) -> list[str]:
        """Files that nobody writes to any more, those of one number together."""
        wanted = []
        for path in sorted(self._directory.iterdir()):
            file = parse_file_name(path.name)
            if file is None or file.kind != "jsonl" or path.name in self._done:
                continue
            final = last_checkpoint(self._directory, file.writer, file.number)
            if final is None or final.kind not in FINAL:
                continue
            names = [checkpoints_file(file.writer, file.number), found_file(file.writer, file.number), path.name]
            wanted += [name for name in names if (self._directory / name).exists()]
        return wanted

    def _copy(self, name: str) -> None:
        path = self._directory / name
        try:
            is_there = self._place.has(name, path.stat().st_size)
        except CopyDiffers:
            self._differing.add(name)
            self._metrics.copy_failures.labels(self._place.name, "differs").inc()
            log.error("decision_log.copy_differs", copy=self._place.name, file=name)
            return
        if not is_there:
            self._place.put(name, path)
            self._metrics.copied.labels(self._place.name).inc()
        self._done.add(name)
        file = parse_file_name(name)
        if isinstance(file, LogFile) and file.kind == "jsonl":
            self._place.sealed(file.writer, file.number)

    def _copy_checkpoint(self) -> None:
        newest = self._newest
        if newest is None or newest.seq <= self._told_seq or newest.kind in FINAL:
            return
        name = until_file(newest.writer, newest.file, newest.seq)
        self._place.put_checkpoint(name, encode_checkpoint(newest) + b"\n")
        self._told_seq = newest.seq
