"""One file of records, appended to: what was not written whole is taken back, or the file is given up.

Blocking; the writer's thread calls it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FileLost(Exception):
    """The file is not what was written any more, or cannot be made so again: go on in another. The text says why."""


class LogFileOpen:
    """Held by a lock as long as this process lives: nobody takes it for left behind.

    Raises:
        OSError: it cannot be made; FileExistsError: there is one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        # It has its name, by which others find it, only once it is locked.
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            beside.rename(path)
            sync_directory(path.parent)
        except OSError:
            os.close(self._fd)
            beside.unlink(missing_ok=True)
            raise

    def append(self, data: bytes) -> None:
        """On the disk when it returns.

        Raises:
            OSError: nothing of it is in the file; it may be tried again.
            FileLost: go on in another file.
        """
        self.check()
        try:
            write_all(self._fd, data)
        except OSError:
            self._take_back()
            raise
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            # What a failed sync leaves on the disk is not known, and the next sync would not tell.
            raise FileLost(f"sync: {error.strerror}") from error
        self.size_bytes += len(data)

    def check(self) -> None:
        """Raises FileLost: somebody took it away, or changed its length."""
        try:
            here, there = os.fstat(self._fd), self.path.stat()
        except OSError as error:
            raise FileLost(error.strerror or "gone") from error
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise FileLost("another file has its name")
        if here.st_size != self.size_bytes:
            raise FileLost(f"it has {here.st_size} bytes, where {self.size_bytes} were written")

    def torn_bytes(self) -> int:
        """How much of a record is at its end, as far as it is there."""
        try:
            return max(0, self.path.stat().st_size - self.size_bytes)
        except OSError:
            return 0

    def close(self) -> None:
        os.close(self._fd)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size_bytes)
        except OSError as error:
            raise FileLost(f"a record was not written whole: {error.strerror}") from error


def write_all(fd: int, data: bytes) -> None:
    """Raises OSError; some of it may be written then."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def append_line(path: Path, line: bytes) -> None:
    """To a small file that is opened for it; on the disk when it returns. Raises OSError: nothing of it is there, or
    the beginning of it at most.
    """
    is_new = not path.exists()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size_bytes = os.fstat(fd).st_size
        try:
            write_all(fd, line + b"\n")
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size_bytes)
            raise
    finally:
        os.close(fd)
    if is_new:
        sync_directory(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """The file is there whole, or as it was. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Names in it are on the disk too."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
