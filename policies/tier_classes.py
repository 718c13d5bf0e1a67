"""Which machines a tier's sessions may be placed on, and in which order. A pure rule.

`reserved` is the floor that keeps the promise, `spot` is the saving: premium fills reserved machines first, the others
spot ones, and each overflows to the other class before it goes to another region. What a tier may not have is refused
to its new sessions only: words that are owed come before what a machine costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.plans import Tier
from policies.routing_facts import CapacityClass

_PERMILLE = 1_000
_SAVING_FIRST = (CapacityClass.spot, CapacityClass.reserved)
_PROMISE_FIRST = (CapacityClass.reserved, CapacityClass.spot)


@dataclass(frozen=True, slots=True)
class ClassRule:
    """Of one tier.

    Attributes:
        order: the classes that it may have, the one that it should have first.
        reserved_permille: its new sessions take no slot of a reserved engine of whose slots so many are taken, by
            whomever.
    """

    order: tuple[CapacityClass, ...] = _SAVING_FIRST
    reserved_permille: int = _PERMILLE

    def __post_init__(self) -> None:
        if not self.order or len(set(self.order)) != len(self.order):
            raise ValueError("a tier's order names at least one class, and each once")
        if not 0 <= self.reserved_permille <= _PERMILLE:
            raise ValueError("reserved_permille is a share, 0 to 1000")

    @property
    def is_free(self) -> bool:
        """Whether it may have every slot of every machine."""
        return self.reserved_permille == _PERMILLE and len(self.order) == len(CapacityClass)

    def rank(self, capacity: CapacityClass) -> int:
        """Its place in the order; behind all of it where the tier may not have it."""
        return self.order.index(capacity) if capacity in self.order else len(self.order)

    def limit_slots(self, capacity: CapacityClass, slots_total: int) -> int:
        """Give up to how many taken slots a new session may still have one."""
        if capacity not in self.order:
            return 0
        return slots_total * self.reserved_permille // _PERMILLE if capacity is CapacityClass.reserved else slots_total


@dataclass(frozen=True, slots=True)
class TierClasses:
    """The rules of all tiers."""

    premium: ClassRule = field(default_factory=lambda: ClassRule(_PROMISE_FIRST))
    standard: ClassRule = field(default_factory=ClassRule)
    economy: ClassRule = field(default_factory=ClassRule)

    def of(self, tier: Tier) -> ClassRule:
        match tier:
            case Tier.premium:
                return self.premium
            case Tier.standard:
                return self.standard
            case Tier.economy:
                return self.economy


DEFAULT_CLASSES = TierClasses()
