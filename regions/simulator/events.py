"""What happens next in the simulated world, and its dice. Time stands still between two events.

Every subsystem has dice of its own, drawn from the seed and its name. So two fleets that are compared meet the same
callers and the same losses of spot machines, whatever each of them does.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def dice_of(seed: int, name: str) -> np.random.Generator:
    """Give the dice of one subsystem: the same seed and name, the same throws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, crc32(name.encode())])))


class Agenda:
    """Calls to be made, by their time; of the same time, in the order in which they were entered."""

    def __init__(self) -> None:
        self._calls: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._entered = 0
        self.now_ms = 0

    def at(self, at_ms: int, do: Callable[[Any], None], what: Any = None) -> None:
        """Call `do(what)` at a time that is not past; a time that is past is now."""
        self._entered += 1
        heappush(self._calls, (max(at_ms, self.now_ms), self._entered, do, what))

    def after(self, wait_ms: int, do: Callable[[Any], None], what: Any = None) -> None:
        self._entered += 1
        heappush(self._calls, (self.now_ms + wait_ms, self._entered, do, what))

    def run_until(self, until_ms: int) -> None:
        """Make every call that is due before `until_ms`, and set the clock there."""
        calls = self._calls
        while calls and calls[0][0] < until_ms:
            self.now_ms, _, do, what = heappop(calls)
            do(what)
        self.now_ms = max(self.now_ms, until_ms)

    @property
    def made(self) -> int:
        """How many calls were made so far."""
        return self._entered - len(self._calls)
