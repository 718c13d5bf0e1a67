"""Whether a region's demand survives the loss of its worst zone of spot machines, and what would be missing. Pure.

The rule: with R reserved slots, S spot slots over z zones and a demand of D slots, `R + S(z-1)/z >= D`. Spot machines
of one zone are taken together, which is why SpotHedge (arXiv 2411.01438) spreads them. Real zones are uneven, so what
is asked is the same rule with the largest zone in place of a z-th part: `R + S - largest zone >= D(1 + headroom)`.
Several spot pools of a zone are lost together; spot pools that name no zone count as one zone of their own, for nobody
says that they are apart.

The loss of a zone of reserved machines is shown, not demanded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class PoolCapacity:
    """The engines of one pool in one zone.

    Attributes:
        zone: empty: not known.
        slots_total: real-time slots of engines that take streams. May be 0: the pool is known and has no engine there.
        slots_used: of all its engines, those that leave among them.
        slots_leaving: of engines that drain, or whose machine goes away; they are no capacity.
        engines: those that take streams.
        cost_permille: of a second of compute, against 1000 for the catalog's reference.
        is_held: operators drain the pool: nothing new comes to it, however many engines it gets.
    """

    pool: str
    capacity: CapacityClass
    zone: str = ""
    slots_total: int = 0
    slots_used: int = 0
    slots_leaving: int = 0
    engines: int = 0
    cost_permille: int = _PERMILLE
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class LostZone:
    """What is left without one zone. `margin_slots`: what is left beyond the need; below zero, what is missing."""

    zone: str
    lost_slots: int
    left_slots: int
    margin_slots: int

    @property
    def holds(self) -> bool:
        return self.margin_slots >= 0


@dataclass(frozen=True, slots=True)
class ZoneLoss:
    """The rule's answer for one demand.

    Attributes:
        needed_slots: the demand and its headroom.
        worst: the zone of spot machines whose loss costs most; None: there are no spot slots to lose.
        left_slots, margin_slots: after its loss.
        more_spot_slots: the fewest that would satisfy the rule, put where they help most; None: no number of them does,
            for all spot machines are in one zone, or in none.
        more_spot_by_zone: where to put them: the smallest zones are filled up first, then all alike.
        more_reserved_slots: the fewest reserved ones that would.
        reserved_zone: the same question for the largest zone of reserved machines; None: there are none.
        cost_permille: of one slot, the mean of all; None: there are no slots.
        against_reserved_permille: what all slots cost, against the needed ones all reserved; None: nothing is needed.
    """

    demand_slots: int
    needed_slots: int
    reserved_slots: int
    spot_slots: int
    spot_zones: int
    worst: LostZone | None
    left_slots: int
    margin_slots: int
    more_spot_slots: int | None
    more_spot_by_zone: Mapping[str, int] = field(default_factory=dict)
    more_reserved_slots: int = 0
    reserved_zone: LostZone | None = None
    cost_permille: int | None = None
    against_reserved_permille: int | None = None

    @property
    def holds(self) -> bool:
        return self.margin_slots >= 0


def needed_slots(demand_slots: int, *, headroom_permille: int) -> int:
    """The demand and its headroom, rounded up."""
    return -(-demand_slots * (_PERMILLE + headroom_permille) // _PERMILLE)


def zone_loss(rows: Sequence[PoolCapacity], *, demand_slots: int, headroom_permille: int = 0) -> ZoneLoss:
    """Check the rule for pools that can stand in for each other."""
    needed = needed_slots(demand_slots, headroom_permille=headroom_permille)
    reserved, spot = slots_by_zone(rows, CapacityClass.reserved), slots_by_zone(rows, CapacityClass.spot)
    total = sum(reserved.values()) + sum(spot.values())
    worst = _without_largest(spot, total, needed)
    left = total if worst is None else worst.left_slots
    missing = max(0, needed - left)
    more_spot = _more_spot(spot, missing)
    return ZoneLoss(
        demand_slots=demand_slots,
        needed_slots=needed,
        reserved_slots=sum(reserved.values()),
        spot_slots=sum(spot.values()),
        spot_zones=len(spot),
        worst=worst,
        left_slots=left,
        margin_slots=left - needed,
        more_spot_slots=None if more_spot is None else sum(more_spot.values()),
        more_spot_by_zone=more_spot or {},
        more_reserved_slots=missing,
        reserved_zone=_without_largest(reserved, total, needed),
        cost_permille=_mean_cost(rows),
        against_reserved_permille=_against_reserved(rows, needed),
    )


def slots_by_zone(rows: Iterable[PoolCapacity], capacity: CapacityClass) -> dict[str, int]:
    """Of one class, without pools that are held; zones that are known and empty are in it with 0."""
    zones: dict[str, int] = {}
    for row in rows:
        if row.capacity is capacity and not row.is_held:
            zones[row.zone] = zones.get(row.zone, 0) + row.slots_total
    return zones


def without_pool(rows: Iterable[PoolCapacity], pool: str) -> tuple[PoolCapacity, ...]:
    """What is there after a drain of one pool."""
    return tuple(row for row in rows if row.pool != pool)


def without_zone(rows: Iterable[PoolCapacity], zone: str, capacity: CapacityClass) -> tuple[PoolCapacity, ...]:
    """What is there when machines of one class are gone from a zone."""
    return tuple(row for row in rows if row.zone != zone or row.capacity is not capacity)


def _without_largest(zones: Mapping[str, int], total: int, needed: int) -> LostZone | None:
    if not any(zones.values()):
        return None
    zone = min(zones, key=lambda name: (-zones[name], name))
    left = total - zones[zone]
    return LostZone(zone, zones[zone], left, left - needed)


def _more_spot(zones: Mapping[str, int], missing: int) -> dict[str, int] | None:
    """Slots to add, by zone. Below the largest zone each one counts; beyond it, what all zones but one get."""
    if missing == 0:
        return {}
    if len(zones) < 2:
        return None
    level = max(zones.values())
    room = sum(level - slots for slots in zones.values())
    if missing > room:
        beyond = missing - room
        return _filled_up(zones, room + beyond + -(-beyond // (len(zones) - 1)))
    return _filled_up(zones, missing)


def _filled_up(zones: Mapping[str, int], slots: int) -> dict[str, int]:
    """Spread so many so that the smallest zones come up first, by name among equals."""
    ordered = sorted(zones, key=lambda name: (zones[name], name))
    raised, level, left = 1, zones[ordered[0]], slots
    while raised < len(ordered) and (zones[ordered[raised]] - level) * raised <= left:
        left -= (zones[ordered[raised]] - level) * raised
        level = zones[ordered[raised]]
        raised += 1
    each, rest = divmod(left, raised)
    added = {
        name: level + each + (1 if place < rest else 0) - zones[name] for place, name in enumerate(ordered[:raised])
    }
    return {name: more for name, more in sorted(added.items()) if more}


def _mean_cost(rows: Iterable[PoolCapacity]) -> int | None:
    there = [row for row in rows if row.slots_total]
    slots = sum(row.slots_total for row in there)
    return sum(row.slots_total * row.cost_permille for row in there) // slots if slots else None


def _against_reserved(rows: Sequence[PoolCapacity], needed: int) -> int | None:
    """A reserved slot costs what those that are there do, or the catalog's reference."""
    if needed == 0:
        return None
    reserved = _mean_cost(row for row in rows if row.capacity is CapacityClass.reserved)
    price = _PERMILLE if reserved is None else reserved
    spent = sum(row.slots_total * row.cost_permille for row in rows)
    return spent * _PERMILLE // (needed * price) if price else None
