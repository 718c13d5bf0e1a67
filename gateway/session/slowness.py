"""An engine that answers and yet falls behind: found by its effect on one session. Pure.

Audio waits at it, more than the bound, and it consumes less of it than time passes. A client that sends faster than
real time makes audio wait too, but an engine that is well consumes that faster than time passes, or as fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.interface import SAMPLES_PER_MS

_LEAST_PACE_PERMILLE = 950
"""Of real time. An engine that hands out its steps unevenly is just as fast."""
_REPLAY_PATIENCE = 4
"""What was sent before is sent again at once, to engines that have taken over many sessions at that moment: they get so
many times as long.
"""


@dataclass(frozen=True, slots=True)
class SlownessLimits:
    """Elapsed milliseconds.

    Attributes:
        after_ms: an engine that is behind and slower than real time for so long is slow.
        move_within_ms: how long another one is looked for then; without one, the slow one is kept.
        rest_ms: between two such moves of a session, or two tries.
    """

    after_ms: int
    move_within_ms: int
    rest_ms: int


class Slowness:
    """Watches one session's engine while it is behind."""

    __slots__ = ("_from_sample", "_limits", "_rested_at_ms", "_seen_sample", "_since_ms")

    def __init__(self, limits: SlownessLimits, now_ms: int) -> None:
        self._limits = limits
        self._since_ms: int | None = None
        self._from_sample = 0
        self._seen_sample = 0
        self._rested_at_ms = now_ms

    def keeps_up(self) -> None:
        """No more audio waits than may."""
        self._since_ms = None

    def is_slow(self, consumed_sample: int, now_ms: int, *, is_replaying: bool) -> bool:
        """Whether that is enough; more audio waits than may, and the engine has consumed what is before the sample.

        `is_replaying`: it is not yet through with what was there when it was granted.
        """
        if now_ms < self._rested_at_ms:
            return False
        if self._since_ms is None:
            self._begin(consumed_sample, now_ms)
            return False
        elapsed_ms = now_ms - self._since_ms
        patience_ms = self._limits.after_ms * (_REPLAY_PATIENCE if is_replaying else 1)
        has_moved, self._seen_sample = consumed_sample > self._seen_sample, consumed_sample
        # Steps are compared where they end: in mid-step an engine looks slower than it is.
        if elapsed_ms < patience_ms or (not has_moved and elapsed_ms < 2 * patience_ms):
            return False
        consumed_samples = consumed_sample - self._from_sample
        self._begin(consumed_sample, now_ms)
        return consumed_samples * 1_000 < elapsed_ms * SAMPLES_PER_MS * _LEAST_PACE_PERMILLE

    def _begin(self, consumed_sample: int, now_ms: int) -> None:
        self._since_ms = now_ms
        self._from_sample = self._seen_sample = consumed_sample

    def rest(self, now_ms: int) -> None:
        """A move was tried, with or without success."""
        self._since_ms = None
        self._rested_at_ms = now_ms + self._limits.rest_ms
