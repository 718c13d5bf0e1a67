"""How many free slots each tier may still take: the last ones are kept for those who are served first. A pure rule."""

from __future__ import annotations

from dataclasses import dataclass

from policies.plans import Tier

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class TierHeadroom:
    """Shares of all slots that a tier leaves to the tiers above it. Premium leaves none.

    The defaults keep nothing from standard, which is the tier of a caller without a plan: where nobody is premium, a
    reserve for premium would only stand empty.
    """

    standard_permille: int = 0
    economy_permille: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.standard_permille <= self.economy_permille <= _PERMILLE:
            raise ValueError("headroom must rise as tiers fall: 0 <= standard <= economy <= 1000 permille")

    def of(self, tier: Tier) -> int:
        """In permille of all slots."""
        match tier:
            case Tier.premium:
                return 0
            case Tier.standard:
                return self.standard_permille
            case Tier.economy:
                return self.economy_permille


def free_slots_for(tier: Tier, *, slots_total: int, slots_used: int, headroom: TierHeadroom) -> int:
    """Give how many new streams of a tier fit; 0 when it may take none.

    The headroom is rounded down, so that the only slot of a small engine is open to everyone.
    """
    kept = slots_total * headroom.of(tier) // _PERMILLE
    return max(0, slots_total - slots_used - kept)


def free_slots_of_tier(*, slots_total: int, slots_used: int, headroom: TierHeadroom) -> dict[str, int]:
    """Give the same for all tiers, by name."""
    return {
        tier.value: free_slots_for(tier, slots_total=slots_total, slots_used=slots_used, headroom=headroom)
        for tier in Tier
    }


def slots_tier(tier: Tier, *, is_replay: bool) -> Tier:
    """Give the tier whose slots a stream may take. A session that goes on may use all headroom, whoever pays for it:
    words that are owed come before a caller who may yet come.
    """
    return Tier.premium if is_replay else tier
