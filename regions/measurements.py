"""Round trips to a peer, smoothed so that a worse one counts at once and a better one only slowly. Pure.

Source: Finagle's PeakEwma (twitter/finagle, finagle-core, loadbalancer/PeakEwma.scala): the weight of the past is
`exp(-elapsed / decay)`, and a sample above the average replaces it. Its decay is 10 s. Unlike there, an average is not
lowered while no sample comes: it grows stale, and is no measurement any more.
"""

from __future__ import annotations

import math

DECAY_MS = 10_000
STALE_AFTER_MS = 15_000


class PeakEwma:
    """An average that jumps up and creeps down. Told the time; times that run backwards count as none passed."""

    __slots__ = ("_average", "_decay_ms", "_sampled_at_ms", "_stale_after_ms")

    def __init__(self, *, decay_ms: int = DECAY_MS, stale_after_ms: int = STALE_AFTER_MS) -> None:
        self._decay_ms = decay_ms
        self._stale_after_ms = stale_after_ms
        self._average: float | None = None
        self._sampled_at_ms = 0

    def sample(self, value: float, now_ms: int) -> None:
        """Take one in. What is no number, infinite or below zero is none."""
        if not math.isfinite(value) or value < 0:
            return
        average = self.value(now_ms)
        if average is None or value >= average:
            self._average = value
        else:
            weight = math.exp(-max(0, now_ms - self._sampled_at_ms) / self._decay_ms)
            self._average = average * weight + value * (1 - weight)
        self._sampled_at_ms = max(self._sampled_at_ms, now_ms)

    def value(self, now_ms: int) -> float | None:
        """None: never measured, or not for `stale_after_ms`."""
        if self._average is None or now_ms - self._sampled_at_ms > self._stale_after_ms:
            return None
        return self._average

    def forget(self) -> None:
        """What was measured was another path."""
        self._average = None
