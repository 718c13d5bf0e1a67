"""When a region that is nearly full sends new sessions on to the next one. A pure rule, told the time.

A waterfall by region: the best region takes everything until nearly all that a tier may use is taken. From then on new
sessions of that tier go to the next region, until clearly less is taken for a while; its last slots are left to
sessions that move or go on. Two marks and a pause keep it from going to and fro with each session that ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class SpillLimits:
    """`enter_permille`: of what a tier may use, taken, from which on it spills; `leave_permille`: below which, for
    `calm_ms` without a break, it does so no more.
    """

    enter_permille: int = 900
    leave_permille: int = 800
    calm_ms: int = 3_000

    def __post_init__(self) -> None:
        if not 0 < self.leave_permille <= self.enter_permille <= _PERMILLE or self.calm_ms < 0:
            raise ValueError("0 < leave_permille <= enter_permille <= 1000, and calm_ms is not negative")


class Spill:
    """Of one region, as one gateway sees it. `now_ms` never goes back."""

    def __init__(self, limits: SpillLimits) -> None:
        self._limits = limits
        self._calm_since_ms: dict[str, int | None] = {}
        """Of the tiers for which it spills: since when less is taken than the lower mark; None: it is not."""
        self._spilling: frozenset[str] = frozenset()

    def look(self, now_ms: int, *, slots_total: int, free_slots_of_tier: Mapping[str, int]) -> frozenset[str]:
        """Give the tiers whose new sessions had better go on to another region.

        Args:
            slots_total: of the engines that take streams. A region that has none spills for nobody: it is no place.
            free_slots_of_tier: what each tier may still take, by name; may be below zero.
        """
        slots_used = slots_total - max(free_slots_of_tier.values(), default=slots_total)
        for tier, free in free_slots_of_tier.items():
            self._look_at(tier, now_ms, taken=max(0, slots_used), free=max(0, free), is_place=slots_total > 0)
        if self._spilling != self._calm_since_ms.keys():
            self._spilling = frozenset(self._calm_since_ms)
        return self._spilling

    def _look_at(self, tier: str, now_ms: int, *, taken: int, free: int, is_place: bool) -> None:
        limits, spilling = self._limits, self._calm_since_ms
        usable = taken + free
        if not is_place:
            spilling.pop(tier, None)
        elif tier not in spilling:
            if taken * _PERMILLE >= limits.enter_permille * usable:
                spilling[tier] = None
        elif taken * _PERMILLE >= limits.leave_permille * usable:
            spilling[tier] = None
        elif (since_ms := spilling[tier]) is None:
            spilling[tier] = now_ms
        elif now_ms - since_ms >= limits.calm_ms:
            del spilling[tier]
