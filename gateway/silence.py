"""For how long nothing was heard of somebody who should speak all the time."""

from __future__ import annotations


class Silence:
    """Counted in the ticks of whoever listens, not by the clock: one that was stopped itself, or slept with its
    machine, has missed nothing.

    Args:
        limit_ticks: after so many without a word, it is too long.
    """

    def __init__(self, limit_ticks: int) -> None:
        self._limit_ticks = limit_ticks
        self._ticks = 0

    def heard(self) -> None:
        self._ticks = 0

    def tick(self) -> bool:
        """Whether it is too long by now."""
        self._ticks += 1
        return self._ticks >= self._limit_ticks
