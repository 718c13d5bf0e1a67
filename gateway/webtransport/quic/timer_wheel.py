"""One timer of the loop for all connections of a process, in ticks.

A connection asks for a time with every packet. A timer of the loop for each of them costs more than the packet.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

TICK_S = 0.005
_SOON_TICKS = 200


class Timed(Protocol):
    """Who is called; the wheel alone writes the two ticks.

    Attributes:
        soon_tick: the tick of its entry within the next second; 0: none.
        late_tick: of its entry after that, so that a deadline far away is not entered with every packet; 0: none.
    """

    soon_tick: int
    late_tick: int

    def on_time(self, now: float) -> None: ...


class TimerWheel:
    """Calls nobody before its time, and at most a tick and what the loop is late after it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, after_all: Callable[[], None]) -> None:
        """
        Args:
            after_all: called once after all whose tick it was.
        """
        self._loop = loop
        self._after_all = after_all
        self._entries: dict[int, dict[Timed, None]] = {}
        self._ticks: list[int] = []
        self._handle: asyncio.TimerHandle | None = None
        self._handle_tick = 0

    def call_at(self, at: float, timed: Timed, now: float) -> None:
        """`timed.on_time` not later than the tick after `at`; it may also be called earlier, and asks again then."""
        tick = int(at / TICK_S) + 1
        if tick - int(now / TICK_S) <= _SOON_TICKS:
            if timed.soon_tick and timed.soon_tick <= tick:
                return
            self._remove(timed.soon_tick, timed)
            timed.soon_tick = tick
        else:
            if timed.late_tick and timed.late_tick <= tick:
                return
            self._remove(timed.late_tick, timed)
            timed.late_tick = tick
        entries = self._entries.get(tick)
        if entries is not None:
            entries[timed] = None
            return
        self._entries[tick] = {timed: None}
        heapq.heappush(self._ticks, tick)
        if self._handle is None or tick < self._handle_tick:
            self._arm(tick)

    def forget(self, timed: Timed) -> None:
        """Keep it no longer: it may hold much memory, and its deadline may be far away."""
        self._remove(timed.soon_tick, timed)
        self._remove(timed.late_tick, timed)
        timed.soon_tick = timed.late_tick = 0

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._entries.clear()
        self._ticks.clear()

    def _remove(self, tick: int, timed: Timed) -> None:
        entries = self._entries.get(tick)
        if entries is not None:
            entries.pop(timed, None)

    def _arm(self, tick: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle_tick = tick
        self._handle = self._loop.call_at(tick * TICK_S, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = max(self._loop.time(), self._handle_tick * TICK_S)
        now_tick = int(now / TICK_S + 1e-6)
        due: list[int] = []
        while self._ticks and self._ticks[0] <= now_tick:
            due.append(heapq.heappop(self._ticks))
        for tick in due:  # who wishes for a time that is over comes in the next turn of the loop, so that others do too
            for timed in self._entries.pop(tick, ()):
                if timed.soon_tick == tick:
                    timed.soon_tick = 0
                elif timed.late_tick == tick:
                    timed.late_tick = 0
                else:
                    continue  # forgotten by one that was called before it in this tick
                timed.on_time(now)
        if self._ticks and self._handle is None:
            self._arm(self._ticks[0])
        self._after_all()
