"""The journal's files: a directory that one process holds, and logs of numbered files that only grow. Blocks.

These must stay true:
  - Of what `append` confirmed, nothing changes any more; what it did not confirm is cut off or left behind, and the
    next append begins another file (after a failed sync nobody knows what is on the disk).
  - A file is known to its directory before anything in it counts as written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.metering.errors import JournalUnusable

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class HeldDirectory:
    """A directory that no other process has as long as this one lives, or until `release`.

    Raises:
        JournalUnusable: somebody has it, or it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise JournalUnusable(f"{path} cannot be used for the journal: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalUnusable(f"another process keeps its journal in {path}") from error

    def release(self) -> None:
        os.close(self._lock)


@dataclass(slots=True)
class LogFile:
    """`size_bytes`: what is written and synced. `newest_at_ms`: when it was last written."""

    number: int
    path: Path
    size_bytes: int
    newest_at_ms: int


class FileLog:
    """Files `KIND-NUMBER.journal` of a directory, oldest first; the last of them is written while `is_open`."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self._descriptor: int | None = None
        self.files = sorted(_files_of(directory, kind), key=lambda file: file.number)
        self.following = self.files[-1].number + 1 if self.files else 0

    @property
    def is_open(self) -> bool:
        return self._descriptor is not None

    @property
    def current(self) -> LogFile | None:
        return self.files[-1] if self.is_open else None

    @property
    def total_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def begin(self) -> int:
        """Another file from here on, made with the next append; gives its number."""
        self.leave()
        self.following += 1
        return self.following - 1

    def append(self, data: bytes, *, at_ms: int) -> None:
        """Write all of it and wait until it is on the disk; OSError if it is not, and then the file is left."""
        is_new = self._descriptor is None
        if is_new:
            self._create(at_ms)
        file, descriptor = self.files[-1], self._descriptor
        assert descriptor is not None
        try:
            _write_all(descriptor, data)
            os.fdatasync(descriptor)
            if is_new:
                self.sync_directory()
        except OSError:
            self._abandon(file)
            raise
        file.size_bytes += len(data)
        file.newest_at_ms = at_ms

    def _create(self, at_ms: int) -> None:
        number = self.following - 1
        path = self._directory / f"{self._kind}-{number:08d}.journal"
        self._descriptor = os.open(path, _NEW_FILE, _FILE_MODE)
        self.files.append(LogFile(number, path, 0, at_ms))

    def _abandon(self, file: LogFile) -> None:
        """Leave nothing behind that was not confirmed, as far as the disk lets us."""
        descriptor = self._descriptor
        assert descriptor is not None
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, file.size_bytes)
            os.fdatasync(descriptor)
        self.leave()
        if file.size_bytes == 0:
            self.files.remove(file)
            with contextlib.suppress(OSError):
                file.path.unlink()

    def leave(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def cut(self, file: LogFile, *, to_bytes: int) -> None:
        """Take away what follows in a file that is not written any more."""
        os.truncate(file.path, to_bytes)
        file.size_bytes = to_bytes

    def forget_below(self, number: int) -> list[LogFile]:
        """The oldest files, up to that number, which are to be deleted then; never the one that is written."""
        forgotten = []
        while self.files and self.files[0].number < number and self.files[0] is not self.current:
            forgotten.append(self.files.pop(0))
        return forgotten

    def sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files_of(directory: Path, kind: str) -> list[LogFile]:
    name = re.compile(rf"{kind}-(\d{{8,}})\.journal")
    found = []
    for path in directory.iterdir():
        match = name.fullmatch(path.name)
        if match is not None:
            stat = path.stat()
            found.append(LogFile(int(match[1]), path, stat.st_size, stat.st_mtime_ns // 1_000_000))
    return found


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
