"""Whose turn it is to move, when sessions leave a place one after the other at an operator's pace. Pure."""

from __future__ import annotations


class MoveTurns:
    """Of one gateway and one place. Told the time, which must not fall.

    Turns that nobody took while nobody waited are not made up for. Those that passed between two questions are, at
    most `burst` of them: whoever asks was late.
    """

    __slots__ = ("_burst", "_next_at_ms")

    def __init__(self, *, burst: int = 20) -> None:
        self._burst = burst
        self._next_at_ms: int | None = None

    def due(self, now_ms: int, *, gap_ms: int, waiting: int) -> int:
        """How many of those that wait go now. `gap_ms`: above zero."""
        if waiting <= 0:
            return 0
        if self._next_at_ms is None:
            self._next_at_ms = now_ms
        self._next_at_ms = max(self._next_at_ms, now_ms - gap_ms * (self._burst - 1))
        late_ms = now_ms - self._next_at_ms
        if late_ms < 0:
            return 0
        going = min(waiting, late_ms // gap_ms + 1)
        self._next_at_ms += going * gap_ms
        if going == waiting:
            self._next_at_ms = max(self._next_at_ms, now_ms + gap_ms)
        return going
