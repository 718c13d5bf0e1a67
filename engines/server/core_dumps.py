"""Keeps the memory of a process, which holds audio and words, from being written to a disk when it crashes."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_GET_DUMPABLE = 3  # linux/prctl.h
_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Of this process, for good; children that it starts may decide for themselves.

    Both are needed: a limit of 0 does not hold where the kernel pipes cores to a program (core(5)), and `dumpable` is
    known to Linux alone. A process that is not dumpable cannot be traced by others of its user either (ptrace(2)).
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def may_dump_core() -> bool:
    """Whether a crash of this process could write a core."""
    is_dumpable = sys.platform != "linux" or ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1
    return is_dumpable and resource.getrlimit(resource.RLIMIT_CORE)[0] != 0
