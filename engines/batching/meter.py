"""How busy the inference thread is: what its load report and its heartbeat are made of.

Written by the inference thread alone; others read `figures`, which is replaced as a whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from engines.interface import SAMPLES_PER_MS

if TYPE_CHECKING:
    from engines.batching.accounting import ComputeLedger
    from engines.batching.bay import Bay

_PUBLISH_EVERY_US = 100_000
_BUSY_SPAN_US = 1_000_000
_RESERVOIR_STEPS = 256
_LATE_SPAN_US = 2_000_000


class BayFigures(msgspec.Struct, frozen=True):
    """`capacity`: streams of this model that the thread would serve in time alone. `is_late`: a step of the last second
    or two came later than a step duration after it was due. `fastest_permille`: how fast one stream alone is
    recognised, against 1000 for real time.
    """

    capacity: int
    is_late: bool
    fastest_permille: int


class LoopFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`step_p50_us` is over the last 256 steps, `busy_permille` over the last second, `..._total` since the start.

    `charged_us_total` is what streams were charged of `busy_us_total`; the rest comes with the next step.
    """

    queued_audio_ms: int = 0
    step_p50_us: int = 0
    busy_permille: int = 0
    busy_us_total: int = 0
    charged_us_total: int = 0
    bays: dict[int, BayFigures] = {}


class LoadMeter:
    """Takes what the loop did in each turn and publishes figures ten times a second."""

    def __init__(self, now_us: int) -> None:
        self.figures = LoopFigures()
        self._published_at_us = now_us
        self._steps_us: deque[int] = deque(maxlen=_RESERVOIR_STEPS)
        # (instant, busy time until then), the oldest at least a second old once there is one.
        self._busy: deque[tuple[int, int]] = deque([(now_us, 0)])
        self._late_at_us: dict[int, int] = {}

    def stepped(self, step_us: int) -> None:
        """One batched step took this long."""
        self._steps_us.append(step_us)

    def is_due(self, now_us: int) -> bool:
        """Whether figures should be published again."""
        return now_us - self._published_at_us >= _PUBLISH_EVERY_US

    def publish(self, now_us: int, bays: dict[int, Bay], ledger: ComputeLedger) -> None:
        """Replace the figures by those of this instant."""
        self._published_at_us = now_us
        busy_us_total = ledger.busy_us
        self._busy.append((now_us, busy_us_total))
        while len(self._busy) > 2 and self._busy[1][0] <= now_us - _BUSY_SPAN_US:
            self._busy.popleft()
        since_us, before_us = self._busy[0]
        for key, bay in bays.items():
            if bay.worst_lateness_us > bay.planner.step_us:
                self._late_at_us[key] = now_us
            bay.worst_lateness_us = 0
        self.figures = LoopFigures(
            queued_audio_ms=sum(bay.queued_samples for bay in bays.values()) // SAMPLES_PER_MS,
            step_p50_us=sorted(self._steps_us)[len(self._steps_us) // 2] if self._steps_us else 0,
            busy_permille=min(1_000, (busy_us_total - before_us) * 1_000 // max(1, now_us - since_us)),
            busy_us_total=busy_us_total,
            charged_us_total=ledger.charged_us,
            bays={
                key: BayFigures(
                    bay.capacity,
                    now_us - self._late_at_us.get(key, now_us - _LATE_SPAN_US) < _LATE_SPAN_US,
                    bay.fastest_permille,
                )
                for key, bay in bays.items()
            },
        )
