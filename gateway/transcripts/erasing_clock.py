"""The clock by which terms end. That cannot be undone, so a clock that was set far ahead is not believed. Pure."""

from __future__ import annotations

_BELIEVED_S = 3_600.0
"""How far the wall may run ahead of what has passed since the start; corrections are smaller."""


class ErasingClock:
    """Begins at its start with the wall's time; from then on it is never further than an hour ahead of what has passed.

    After a larger correction that is right, terms end late, until the process starts again.
    """

    def __init__(self, *, wall_s: float, monotonic_s: float) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s

    def now_s(self, *, wall_s: float, monotonic_s: float) -> float:
        """Unix seconds."""
        return min(wall_s, self._wall_s + monotonic_s - self._monotonic_s + _BELIEVED_S)
