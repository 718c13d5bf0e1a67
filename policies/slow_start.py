"""How much of its room an engine that has just come offers to new sessions. A pure rule.

A new engine is empty, so every gateway would send everything there at once, to caches that are cold and before one
load report came back. Its room counts for a share that grows with its age. It is a preference and never refuses: where
nothing else has room, all of it is taken, and where all engines are new, none is held back.

Source of the formula: Envoy's slow start mode, weight * max(min_weight_percent, (age / window) ** (1 / aggression)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WHOLE_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class SlowStartLimits:
    """`window_ms` 0: no engine is new. `aggression_permille`: 1000 grows evenly, more grows faster at first."""

    window_ms: int = 30_000
    min_permille: int = 100
    aggression_permille: int = 1_000

    def __post_init__(self) -> None:
        if self.window_ms < 0 or self.aggression_permille <= 0 or not 0 < self.min_permille <= WHOLE_PERMILLE:
            raise ValueError("window_ms >= 0, aggression_permille > 0, 0 < min_permille <= 1000")


def ramp_permille(age_ms: int, limits: SlowStartLimits) -> int:
    """Give the share of its room that an engine of this age offers."""
    if age_ms >= limits.window_ms:
        return WHOLE_PERMILLE
    share: float = (max(0, age_ms) / limits.window_ms) ** (WHOLE_PERMILLE / limits.aggression_permille)
    return max(limits.min_permille, int(share * WHOLE_PERMILLE))


def ramps(ages_ms: Sequence[int], limits: SlowStartLimits) -> list[int]:
    """Give the shares of engines that stand beside each other; whole ones where all are new."""
    if all(age_ms < limits.window_ms for age_ms in ages_ms):
        return [WHOLE_PERMILLE] * len(ages_ms)
    return [ramp_permille(age_ms, limits) for age_ms in ages_ms]
