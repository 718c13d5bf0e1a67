"""Ports of 127.0.0.1 for servers that a test starts, and starts again, by number.

They lie below those that the kernel gives to connections (from 32768 on), and no process gives one twice before it has
been through its range: nobody else takes one between its choice and its use, or while its server is down.
"""

from __future__ import annotations

import itertools
import os
import re
import socket

_FIRST, _NUM_RANGES, _PER_RANGE = 12_000, 10, 2_000


def _own_range() -> range:
    """One for each worker of a test run; another run beside it begins elsewhere in it."""
    worker = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
    first = _FIRST + int(worker) % _NUM_RANGES * _PER_RANGE
    return range(first, first + _PER_RANGE)


_offsets = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """Nobody listens on it, over TCP or UDP."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """The first of so many in a row."""
    ports = _own_range()
    for _ in range(len(ports)):
        offset = next(_offsets) % len(ports)
        asked = ports[offset : offset + number]
        if len(asked) == number and all(_is_free(port) for port in asked):
            for _ in range(number - 1):
                next(_offsets)
            return asked[0]
    raise AssertionError(f"none of {ports} is free")


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
