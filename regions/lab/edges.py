"""The edge processes of the lab's gateways, which are their children and not the lab's: who they are, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_COMMAND = b"gateway.webtransport"


def edge_pids(gateway_pid: int) -> list[int]:
    """Of the edge processes that a gateway has now; nothing where it is gone. Linux."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return sorted(pid for pid in pids if _parent_of(pid) == gateway_pid and _is_edge(pid))


def kill_edges(gateway_pid: int) -> list[int]:
    """SIGKILL; whom it struck. Their gateway starts others."""
    pids = edge_pids(gateway_pid)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids


def _parent_of(pid: int) -> int:
    """0: it is gone. What stands before the parent's number is a name that may have anything in it; see proc(5)."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _is_edge(pid: int) -> bool:
    try:
        return _COMMAND in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
