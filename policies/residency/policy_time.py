"""What time it is for policy: by the wall, but never behind what has passed since the start. PURE.

A wall clock that is set back would bring rows and bundles into force again that have ended. Forward it is followed:
what that ends too early is refused, which is the safe side, and setting the clock right again mends it.
"""

from __future__ import annotations


class PolicyClock:
    """Unix seconds, from a wall clock and a monotonic one that are read together."""

    def __init__(self, *, wall_s: float, monotonic_s: float) -> None:
        self._began_at_s = wall_s
        self._began_at_monotonic_s = monotonic_s

    def now_s(self, *, wall_s: float, monotonic_s: float) -> float:
        return max(wall_s, self._began_at_s + monotonic_s - self._began_at_monotonic_s)
