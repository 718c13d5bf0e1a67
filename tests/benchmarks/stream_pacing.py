"""Sends 100 ms of audio for each of a growing number of streams every 100 ms, spread evenly however many there are.

A timer of the kernel ticks each millisecond; a stream has its own one of the hundred ticks of a cycle.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from tests.benchmarks.pacing import MESSAGE_MS, repeating_timer

if TYPE_CHECKING:
    from tests.benchmarks.stream_sessions import PacedStream

_TICK_NS = 1_000_000
_GOLDEN_SHARE = 0.6180339887498949
"""Multiples of it, without their whole part, lie evenly in [0, 1) however many there are."""


class StreamPacer:
    """Keeps its streams talking from `start` to `stop`."""

    def __init__(self) -> None:
        self._turns: list[list[PacedStream]] = [[] for _ in range(MESSAGE_MS)]
        self._turn_of: dict[PacedStream, int] = {}
        self._added = 0
        self._ticks = 0
        self._timer = -1
        self._began_at_ns = 0
        self.late_ns: list[int] = []
        """How far behind its plan each tick came."""
        self.sent_chunks = 0

    def add(self, stream: PacedStream) -> None:
        turn = int(self._added * _GOLDEN_SHARE % 1 * MESSAGE_MS)
        self._added += 1
        self._turns[turn].append(stream)
        self._turn_of[stream] = turn

    def remove(self, stream: PacedStream) -> None:
        self._turns[self._turn_of.pop(stream)].remove(stream)

    def start(self) -> None:
        self._timer = repeating_timer(_TICK_NS)
        self._began_at_ns = time.monotonic_ns()
        asyncio.get_running_loop().add_reader(self._timer, self._tick)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._timer)
        os.close(self._timer)

    def _tick(self) -> None:
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return
        due_ticks = (time.monotonic_ns() - self._began_at_ns) // _TICK_NS
        while self._ticks < due_ticks:
            self._ticks += 1
            self.late_ns.append(time.monotonic_ns() - self._began_at_ns - self._ticks * _TICK_NS)
            for stream in self._turns[self._ticks % MESSAGE_MS]:
                stream.send_audio()
                self.sent_chunks += 1
