"""Notices that the process which started this one is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class ParentWatch:
    """Remembers its parent from the moment it is made.

    On Linux the kernel also sends SIGTERM when the parent dies, so that no poll has to notice it.
    """

    def __init__(self) -> None:
        self._parent_pid = os.getppid()
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    @property
    def is_gone(self) -> bool:
        return os.getppid() != self._parent_pid
