"""The largest of the values of the last so long, in bounded memory. Pure: told the time, which must not fall."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_STEPS = 120


@dataclass(slots=True)
class _Peak:
    first_at_ms: int
    last_at_ms: int
    value: int


class SlidingPeak:
    """A value counts for at least `window_ms` and a 120th part of it more at most."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._step_ms = window_ms // _STEPS
        self._peaks: deque[_Peak] = deque()
        """Their values fall: what is smaller than a later one never counts again."""

    def add(self, now_ms: int, value: int) -> None:
        while self._peaks and self._peaks[-1].value <= value:
            self._peaks.pop()
        if self._peaks and now_ms - self._peaks[-1].first_at_ms < self._step_ms:
            self._peaks[-1].last_at_ms = now_ms
        else:
            self._peaks.append(_Peak(now_ms, now_ms, value))

    def peak(self, now_ms: int) -> int | None:
        """None: there was no value for so long."""
        while self._peaks and now_ms - self._peaks[0].last_at_ms > self._window_ms:
            self._peaks.popleft()
        return self._peaks[0].value if self._peaks else None
