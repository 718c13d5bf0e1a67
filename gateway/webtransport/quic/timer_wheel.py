"""One timer of the loop for all connections of a process, in ticks.

A connection asks for a time with every packet. A timer of the loop for each of them costs more than the packet.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

TICK_S = 0.005
_SOON_TICKS = 200


class Alarm:
    """The entries of one connection. Silenced, it holds nothing of it, though they still wait for their ticks.

    Attributes:
        soon_tick: the tick of its entry within the next second; 0: none.
        late_tick: of its entry after that, so that a deadline far away is not entered with every packet; 0: none.
    """

    __slots__ = ("_call", "late_tick", "soon_tick")

    def __init__(self, call: Callable[[float], None]) -> None:
        self._call: Callable[[float], None] | None = call
        self.soon_tick = self.late_tick = 0

    def silence(self) -> None:
        self._call = None

    def ring(self, now: float) -> None:
        if self._call is not None:
            self._call(now)


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

    def call_at(self, at: float, alarm: Alarm, now: float) -> None:
        """`alarm` rings not later than the tick after `at`; it may also ring earlier, and is set again then."""
        tick = int(at / TICK_S) + 1
        if tick - int(now / TICK_S) <= _SOON_TICKS:
            if alarm.soon_tick and alarm.soon_tick <= tick:
                return
            self._remove(alarm.soon_tick, timed)
            alarm.soon_tick = tick
        else:
            if alarm.late_tick and alarm.late_tick <= tick:
                return
            self._remove(alarm.late_tick, timed)
            alarm.late_tick = tick
        entries = self._entries.get(tick)
        if entries is not None:
            entries[alarm] = None
            return
        self._entries[tick] = {timed: None}
        heapq.heappush(self._ticks, tick)
        if self._handle is None or tick < self._handle_tick:
            self._arm(tick)

    def forget(self, alarm: Alarm) -> None:
        """Keep it no longer: it may hold much memory, and its deadline may be far away."""
        self._remove(alarm.soon_tick, timed)
        self._remove(alarm.late_tick, timed)
        alarm.soon_tick = alarm.late_tick = 0

    def _remove(self, tick: int, alarm: Alarm) -> None:
        entries = self._entries.get(tick)
        if entries is not None:
            entries.pop(timed, None)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._entries.clear()
        self._ticks.clear()

    def _arm(self, tick: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle_tick = tick
        self._handle = self._loop.call_at(tick * TICK_S, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = max(self._loop.time(), self._handle_tick * TICK_S)
        now_tick = int(now / TICK_S + 1e-6)
        while self._ticks and self._ticks[0] <= now_tick:
            tick = heapq.heappop(self._ticks)
            for alarm in self._entries.pop(tick):
                if alarm.soon_tick == tick:
                    alarm.soon_tick = 0
                elif alarm.late_tick == tick:
                    alarm.late_tick = 0
                else:
                    continue  # forgotten by one that was called before it
                alarm.ring(now)
        if self._ticks and self._handle is None:
            self._arm(self._ticks[0])
        self._after_all()
