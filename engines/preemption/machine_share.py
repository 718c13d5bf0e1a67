"""Tells whether this engine is the last one on its machine that watches: a lock on a file that all of them share.

An event that is acknowledged begins at once, for everything on the machine. So only the last one may do it.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class MachineShare:
    """Held from `join` until the process ends, or leaves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def join(self) -> bool:
        """Be one of them. False: the file cannot be used; then this one never is the last."""
        try:
            self._file = _open(self._path)
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            self.leave()
            return False
        return True

    def leave_as_last(self) -> bool:
        """Leave, and say whether nobody else is there. Of several that leave at once one is the last."""
        if self._file is None:
            return False
        try:
            # Asking for the whole lock gives up the share, also where it is not granted.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            self.leave()
        return True

    def leave(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _open(path: Path) -> int:
    """Locks need no right to write, so that engines of several users can share a file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)
