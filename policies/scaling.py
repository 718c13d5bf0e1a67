"""How many real-time slots a region's autoscalers should keep, by pool and zone. Pure: told the time.

The demand is what engines say is in use, and sessions that wanted a slot here and got none. It is answered at once when
it rises, and after a window when it falls: the largest demand of the window counts (the stabilisation window of
Kubernetes' HorizontalPodAutoscaler, whose own default is 300 s downwards and none upwards).

Above the demand stand the headroom and what tiers leave to those above them. What is needed is split so that the
rule of policies.capacity holds: a floor of reserved slots, and spot for the rest, over all zones, so much that the loss
of one leaves enough. Spot that is wanted and does not come is, after a while, wanted of reserved machines, and given
back once it is there (SkyServe's `dynamic_ondemand_fallback`, beside its `base_ondemand_fallback_replicas`); here it is
so many slots as the rule lacks, which are fewer than the spot slots that are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.capacity import needed_slots, slots_by_zone
from policies.routing_facts import CapacityClass
from policies.sliding_peak import SlidingPeak

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from policies.capacity import PoolCapacity

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """What is kept, and how fast it is given up.

    Attributes:
        headroom_permille: slots above the demand.
        tier_headroom_permille: share of all slots that the lowest tier which is to find a slot leaves to others.
        reserved_floor_slots: reserved slots that are always wanted.
        is_zone_loss_survived: whether spot is wanted in such number that one zone's may be lost.
        scale_down_after_ms: for how long a peak of the demand counts.
        spot_missing_after_ms: spot that is wanted and missing all that time is wanted of reserved machines.
        spot_back_after_ms: and is wanted there until it was there for so long; not less than the other.
    """

    headroom_permille: int = 100
    tier_headroom_permille: int = 0
    reserved_floor_slots: int = 0
    is_zone_loss_survived: bool = True
    scale_down_after_ms: int = 600_000
    spot_missing_after_ms: int = 120_000
    spot_back_after_ms: int = 600_000

    def __post_init__(self) -> None:
        if self.spot_back_after_ms < self.spot_missing_after_ms:
            raise ValueError("spot_back_after_ms must not be below spot_missing_after_ms")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What there should be.

    Attributes:
        demand_slots: now.
        peak_slots: the largest demand of the window.
        needed_slots: that must be left when a zone is lost.
        reserved_slots: `fallback_slots`, those that stand in for spot, among them.
        unplaced_slots: those of them for which there is no reserved pool.
        is_learning: it has not watched for a whole window; until then no pool is wanted smaller than it is.
        by_row: for each (pool, zone) that is known. Where it is learning, or a pool is held, they may sum up to more
            than the classes.
    """

    demand_slots: int
    peak_slots: int
    needed_slots: int
    reserved_slots: int
    spot_slots: int
    fallback_slots: int
    unplaced_slots: int
    is_learning: bool
    by_row: Mapping[tuple[str, str], int]


def needed_by(rules: ScalingRules, demand_slots: int) -> int:
    """The demand, its headroom, and what its lowest tier may not take; the larger of the two claims."""
    with_headroom = needed_slots(demand_slots, headroom_permille=rules.headroom_permille)
    open_permille = _PERMILLE - rules.tier_headroom_permille
    # A tier that leaves everything to others is never served, however many slots there are.
    with_tiers = -(-demand_slots * _PERMILLE // open_permille) if open_permille > 0 else 0
    return max(with_headroom, with_tiers)


def ideal_split(
    needed: int, *, reserved_floor: int, spot_zones: int, is_zone_loss_survived: bool = True
) -> tuple[int, int]:
    """Give the fewest (reserved, spot) slots above the floor by which so many are left when a zone of spot is lost.

    Spot slots are spread evenly. In a single zone they can be lost all together, and so none are wanted.
    """
    rest = max(0, needed - reserved_floor)
    if spot_zones == 0 or (spot_zones == 1 and is_zone_loss_survived):
        return reserved_floor + rest, 0
    if not is_zone_loss_survived:
        return reserved_floor, rest
    return reserved_floor, rest + -(-rest // (spot_zones - 1))


class ScalingTarget:
    """Of pools that can stand in for each other."""

    def __init__(self, rules: ScalingRules, now_ms: int) -> None:
        self._rules = rules
        self._since_ms = now_ms
        self._peak = SlidingPeak(rules.scale_down_after_ms)
        self._fallback = _Fallback(rules)

    def wants(
        self, now_ms: int, rows: Sequence[PoolCapacity], *, unmet_slots: int = 0, engine_slots: int = 1
    ) -> Wanted:
        """Call it steadily: what is between two calls is not seen.

        Args:
            unmet_slots: sessions that found no slot here. Callers who are refused try again, so that they may be too
                many: they double what is in use at most, or ask for one engine.
            engine_slots: of one engine.
        """
        rules = self._rules
        used = sum(row.slots_used for row in rows)
        demand = used + min(unmet_slots, max(used, engine_slots))
        self._peak.add(now_ms, demand)
        peak = max(demand, self._peak.peak(now_ms) or 0)
        needed = needed_by(rules, peak)
        reserved_there = slots_by_zone(rows, CapacityClass.reserved)
        spot_there = slots_by_zone(rows, CapacityClass.spot)
        floor = rules.reserved_floor_slots
        reserved, spot = ideal_split(
            needed,
            reserved_floor=floor if reserved_there else 0,
            spot_zones=len(spot_there),
            is_zone_loss_survived=rules.is_zone_loss_survived,
        )
        lacking = needed - reserved - self._counted(spot_there) if spot else 0
        fallback = self._fallback.slots(now_ms, max(0, lacking))
        reserved += fallback
        unplaced = 0 if reserved_there else max(floor, reserved)
        if not reserved_there and not spot:
            spot = reserved  # of no use against a zone's loss, but somebody must serve
        is_learning = now_ms - self._since_ms < rules.scale_down_after_ms
        by_row = _by_row(rows, {CapacityClass.reserved: reserved, CapacityClass.spot: spot})
        if is_learning:
            for row in rows:
                key = (row.pool, row.zone)
                by_row[key] = max(by_row[key], row.slots_total)
        return Wanted(
            demand_slots=demand,
            peak_slots=peak,
            needed_slots=needed,
            reserved_slots=reserved,
            spot_slots=spot,
            fallback_slots=fallback,
            unplaced_slots=unplaced,
            is_learning=is_learning,
            by_row=by_row,
        )

    def _counted(self, spot_there: Mapping[str, int]) -> int:
        """Spot slots that are there and may be relied on."""
        lost = max(spot_there.values(), default=0) if self._rules.is_zone_loss_survived else 0
        return sum(spot_there.values()) - lost


class _Fallback:
    """Rises to what was lacking all the time, falls to the most that was lacking of a longer time."""

    def __init__(self, rules: ScalingRules) -> None:
        self._missing_after_ms = rules.spot_missing_after_ms
        self._least = SlidingPeak(rules.spot_missing_after_ms)
        """Of the negative values: the least is the largest of them."""
        self._most = SlidingPeak(rules.spot_back_after_ms)
        self._since_ms: int | None = None
        self._slots = 0

    def slots(self, now_ms: int, lacking: int) -> int:
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        self._least.add(now_ms, -lacking)
        self._most.add(now_ms, lacking)
        has_watched = now_ms - self._since_ms >= self._missing_after_ms
        lasting = -(self._least.peak(now_ms) or 0) if has_watched else 0
        self._slots = max(lasting, min(self._slots, self._most.peak(now_ms) or 0))
        return self._slots


def engines_for(slots: int, *, engine_slots: int) -> int:
    """How many engines have so many slots."""
    return -(-slots // max(1, engine_slots))


def _by_row(rows: Iterable[PoolCapacity], slots: Mapping[CapacityClass, int]) -> dict[tuple[str, str], int]:
    """Evenly over the zones of a class, and in each over its pools.

    A pool that is held keeps what it has while somebody is on it, and the others have to do without it.
    """
    pools: dict[CapacityClass, dict[str, list[str]]] = {kind: {} for kind in CapacityClass}
    split = {}
    for row in rows:
        if row.is_held:
            split[row.pool, row.zone] = row.slots_leaving if row.slots_used else 0
        else:
            pools[row.capacity].setdefault(row.zone, []).append(row.pool)
    for kind, of_zone in pools.items():
        for zone, share in _evenly(slots[kind], of_zone).items():
            for pool, pool_share in _evenly(share, of_zone[zone]).items():
                split[pool, zone] = pool_share
    return split


def _evenly(total: int, names: Iterable[str]) -> dict[str, int]:
    """The first ones by name take what is left over."""
    ordered = sorted(names)
    each, rest = divmod(total, len(ordered)) if ordered else (0, 0)
    return {name: each + (1 if place < rest else 0) for place, name in enumerate(ordered)}
