"""Where a region on this machine keeps what must outlive it: each running region has a folder of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_REGIONS = 1_000


class DataDirectory:
    """A folder and the lock on it. The lock is held as long as any process has `lock_fd` open."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self.lock_fd = lock_fd


@contextlib.contextmanager
def claim(state_directory: Path) -> Iterator[DataDirectory]:
    """The first folder that no region holds; the same one again after a restart, so that its data is found.

    A region that was killed holds its folder until the last of its processes is gone, if they were given the lock.

    Raises:
        OSError: the folder cannot be made, or all are held.
    """
    for number in range(_MAX_REGIONS):
        folder = state_directory / f"region-{number}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            continue
        try:
            yield DataDirectory(folder, lock_fd)
        finally:
            os.close(lock_fd)
        return
    raise OSError(f"more than {_MAX_REGIONS} regions hold folders in {state_directory}")
