"""How busy the inference thread is: what its load report and its heartbeat are made of.

Written by the inference thread alone; others read `figures`, which is replaced as a whole.
"""

from __future__ import annotations

from collections import deque

import msgspec

_PUBLISH_EVERY_US = 100_000
_BUSY_SPAN_US = 1_000_000
_RESERVOIR_STEPS = 256


class LoopFigures(msgspec.Struct, frozen=True):
    """`step_p50_us` is over the last 256 steps, `busy_permille` over the last second."""

    queued_audio_ms: int
    step_p50_us: int
    busy_permille: int


class LoadMeter:
    """Takes what the loop did in each turn and publishes figures ten times a second."""

    def __init__(self, now_us: int) -> None:
        self.figures = LoopFigures(queued_audio_ms=0, step_p50_us=0, busy_permille=0)
        self._published_at_us = now_us
        self._steps_us: deque[int] = deque(maxlen=_RESERVOIR_STEPS)
        self._busy: deque[tuple[int, int]] = deque()
        self._unpublished_busy_us = 0

    def stepped(self, step_us: int) -> None:
        """One batched step took this long."""
        self._steps_us.append(step_us)

    def turned(self, now_us: int, *, busy_us: int, queued_audio_ms: int) -> None:
        """One turn of the loop ended; it worked `busy_us` and did not wait."""
        self._unpublished_busy_us += busy_us
        if now_us - self._published_at_us < _PUBLISH_EVERY_US:
            return
        self._published_at_us = now_us
        self._busy.append((now_us, self._unpublished_busy_us))
        self._unpublished_busy_us = 0
        while self._busy[0][0] <= now_us - _BUSY_SPAN_US:
            self._busy.popleft()
        busy = sum(busy_us for _, busy_us in self._busy)
        self.figures = LoopFigures(
            queued_audio_ms=queued_audio_ms,
            step_p50_us=sorted(self._steps_us)[len(self._steps_us) // 2] if self._steps_us else 0,
            busy_permille=min(1_000, busy * 1_000 // _BUSY_SPAN_US),
        )
