"""CloudEvents in files, one a line, each id once.

The file that is written is `NAME-….jsonl.part`; when its hour or its size is over it becomes `NAME-….jsonl`, whole and
for good. These must stay true:
  - One process writes: it holds the folder's lock. Another one reads no events until the lock is free.
  - One batch is written at a time, synced, and only then accepted; so only lines of the last batch can be unknown to
    the sent log, and they stand at the end of the newest file. An event that was tried before is looked for there.
  - A line that was cut off by a crash is cut away before the next is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from typing import IO, TYPE_CHECKING

import msgspec
import structlog

from gateway.metering.cloud_events import encode_single
from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.sinks.interface import Accepted, Outcome, TryAgain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.metering.sinks.interface import Outgoing
    from gateway.metering.sinks.settings import JsonLinesSettings

log = structlog.get_logger()
_PART = ".jsonl.part"
_DONE = ".jsonl"
_TAIL_BYTES = 4 * 1_048_576
"""More than the largest batch: 1,000 events of less than 4 KiB."""


class _OnlyId(msgspec.Struct):
    id: str


_ID = msgspec.json.Decoder(_OnlyId)


class JsonLines:
    """Blocking work is done on a thread, one piece at a time."""

    def __init__(self, settings: JsonLinesSettings, *, source: str) -> None:
        self._settings = settings
        self._source = source
        self._lock: IO[bytes] | None = None
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._hour = 0
        self._written: set[str] = set()
        """Ids of the last batch before this process, at the end of the newest file."""
        self._turn = asyncio.Lock()

    async def is_ready(self) -> bool:
        async with self._turn:
            return await asyncio.to_thread(self._prepare)

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        async with self._turn:
            outcome = await asyncio.to_thread(self._write, batch)
        return [outcome] * len(batch)

    async def aclose(self) -> None:
        async with self._turn:
            await asyncio.to_thread(self._close)

    def _prepare(self) -> bool:
        try:
            if self._lock is None and not self._take_lock():
                return False
            if self._file is not None and self._is_over():
                self._finish()
        except OSError as error:
            log.error("exporter.file_failed", sink=self._settings.name, errno=error.errno)
            return False
        return True

    def _take_lock(self) -> bool:
        directory = self._settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / f".{self._settings.name}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        files = sorted(directory.glob(f"{self._settings.name}-*{_DONE}*"))
        for path in files[-2:]:
            self._written |= _read_tail(path)
        parts = [path for path in files if path.name.endswith(_PART)]
        for path in parts[:-1]:
            path.rename(path.with_name(path.name.removesuffix(_PART) + _DONE))
        if parts:
            self._open(parts[-1])
        return True

    def _open(self, path: Path) -> None:
        self._file = path.open("ab")
        self._path = path
        self._hour = int(path.stat().st_ctime * 1_000) // MS_PER_HOUR if self._file.tell() else _now_hour()

    def _is_over(self) -> bool:
        return self._file is not None and (
            self._file.tell() >= self._settings.max_file_bytes or (self._hour != _now_hour() and self._file.tell() > 0)
        )

    def _finish(self) -> None:
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.rename(self._path.with_name(self._path.name.removesuffix(_PART) + _DONE))
            _sync_directory(self._settings.directory)
        self._file = self._path = None

    def _write(self, batch: Sequence[Outgoing]) -> Outcome:
        if not self._prepare():
            return TryAgain("file_failed")
        new = [out for out in batch if not (out.was_tried and out.event_id in self._written)]
        lines = b"".join(encode_single(out.event, source=self._source) + b"\n" for out in new)
        size: int | None = None
        try:
            if self._file is None:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
                name = f"{self._settings.name}-{stamp}-{time.time_ns() % 1_000_000_000:09d}{_PART}"
                self._open(self._settings.directory / name)
                _sync_directory(self._settings.directory)
            if self._file is None:
                return TryAgain("file_failed")
            size = self._file.tell()
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            log.error("exporter.file_failed", sink=self._settings.name, errno=error.errno)
            self._undo(size)
            return TryAgain("file_failed", may_have_arrived=True)
        return Accepted()

    def _undo(self, size: int | None) -> None:
        """Cut off what may have been written; if that fails too, it is read again with the lock."""
        with contextlib.suppress(OSError):
            if self._file is not None and size is not None:
                os.ftruncate(self._file.fileno(), size)
        self._close()

    def _close(self) -> None:
        """Give the lock back. The part stays a part: the next writer goes on with it."""
        for file in (self._file, self._lock):
            if file is not None:
                with contextlib.suppress(OSError):  # what was not synced was not accepted
                    file.close()
        self._file = self._path = self._lock = None


def _read_tail(path: Path) -> set[str]:
    """The ids in the last lines; a line without an end is cut away."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - _TAIL_BYTES)
        file.seek(begin)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            file.truncate(begin + whole)
            os.fsync(file.fileno())
    lines = tail[:whole].splitlines()
    return {_ID.decode(line).id for line in (lines[1:] if begin else lines) if line.startswith(b"{")}


def _sync_directory(directory: Path) -> None:
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _now_hour() -> int:
    return int(time.time() * 1_000) // MS_PER_HOUR
