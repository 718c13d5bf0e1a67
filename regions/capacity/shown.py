"""A region's capacity as JSON trees, for people and for the programs that scale it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies.capacity import without_pool, zone_loss
from policies.scaling import engines_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.capacity import LostZone, PoolCapacity, ZoneLoss
    from policies.scaling import Wanted
    from regions.capacity.snapshot import CapacitySnapshot, FleetCapacity

NO_ZONE = "-"
"""The name of a zone that nobody named."""


def fleet_json(capacity: FleetCapacity, *, headroom_permille: int, without: str = "") -> dict[str, Any]:
    """One fleet. `without`: what the rule would say if this pool of it were drained."""
    fleet = capacity.fleet
    tree: dict[str, Any] = {
        "models": list(fleet.models),
        "slots": fleet.slots_total,
        "used_slots": fleet.slots_used,
        "demand": {
            "now_slots": capacity.wanted.demand_slots,
            "unmet_slots": capacity.unmet_slots,
            "seen_peak_slots": capacity.seen_peak_slots,
            "expected_slots": capacity.expected_slots,
        },
        "pools": [_row_json(row, capacity.wanted) for row in fleet.rows],
        "zone_loss": zone_loss_json(capacity.zone_loss),
        "wanted": _wanted_json(capacity.wanted),
    }
    if any(row.pool == without for row in fleet.rows):
        demand = capacity.zone_loss.demand_slots
        left = zone_loss(without_pool(fleet.rows, without), demand_slots=demand, headroom_permille=headroom_permille)
        tree["zone_loss_without"] = {"pool": without, **zone_loss_json(left)}
    return tree


def pool_json(snapshot: CapacitySnapshot, pool: str) -> dict[str, Any] | None:
    """One pool as numbers for an autoscaler; None: it is not known."""
    for capacity in snapshot.fleets:
        rows = [row for row in capacity.fleet.rows if row.pool == pool]
        if rows:
            return _scaler_json(capacity, rows)
    return None


def pools_json(snapshot: CapacitySnapshot) -> dict[str, Any]:
    """All pools, by name."""
    names = sorted({row.pool for capacity in snapshot.fleets for row in capacity.fleet.rows})
    return {name: pool_json(snapshot, name) for name in names}


def zone_loss_json(loss: ZoneLoss) -> dict[str, Any]:
    return {
        "holds": loss.holds,
        "says": says(loss),
        "demand_slots": loss.demand_slots,
        "needed_slots": loss.needed_slots,
        "reserved_slots": loss.reserved_slots,
        "spot_slots": loss.spot_slots,
        "spot_zones": loss.spot_zones,
        "left_slots": loss.left_slots,
        "margin_slots": loss.margin_slots,
        "worst_zone": _zone_json(loss.worst),
        "more_spot_slots": loss.more_spot_slots,
        "more_spot_by_zone": {zone or NO_ZONE: slots for zone, slots in loss.more_spot_by_zone.items()},
        "more_reserved_slots": loss.more_reserved_slots,
        "reserved_zone": _zone_json(loss.reserved_zone),
        "cost_permille": loss.cost_permille,
        "against_reserved_permille": loss.against_reserved_permille,
    }


def says(loss: ZoneLoss) -> str:
    """The rule's answer in a sentence or two."""
    need = f"{loss.needed_slots} are needed for a peak of {loss.demand_slots}"
    if loss.worst is None:
        what = f"no spot slots to lose: {loss.left_slots} slots, {need}"
    else:
        what = f"without spot in {_zone_name(loss.worst)} {loss.left_slots} slots are left, {need}"
    if loss.holds:
        return f"{what}: {loss.margin_slots} to spare"
    missing = f"{what}: {-loss.margin_slots} too few. Add {loss.more_reserved_slots} reserved slots"
    if loss.more_spot_slots is None:
        return f"{missing}; spot alone does not help in fewer than two zones"
    where = ", ".join(f"{slots} in {zone or NO_ZONE}" for zone, slots in loss.more_spot_by_zone.items())
    return f"{missing}, or {loss.more_spot_slots} of spot ({where})"


def _zone_name(lost: LostZone) -> str:
    return lost.zone or "the zone that nobody named"


def _zone_json(lost: LostZone | None) -> dict[str, Any] | None:
    if lost is None:
        return None
    return {
        "zone": lost.zone or NO_ZONE,
        "holds": lost.holds,
        "lost_slots": lost.lost_slots,
        "left_slots": lost.left_slots,
        "margin_slots": lost.margin_slots,
    }


def _row_json(row: PoolCapacity, wanted: Wanted) -> dict[str, Any]:
    return {
        "pool": row.pool,
        "capacity": row.capacity.value,
        "zone": row.zone or NO_ZONE,
        "engines": row.engines,
        "slots": row.slots_total,
        "used_slots": row.slots_used,
        "leaving_slots": row.slots_leaving,
        "wanted_slots": wanted.by_row[row.pool, row.zone],
        "is_held": row.is_held,
        "cost_permille": row.cost_permille,
    }


def _wanted_json(wanted: Wanted) -> dict[str, Any]:
    return {
        "slots": sum(wanted.by_row.values()),
        "peak_slots": wanted.peak_slots,
        "needed_slots": wanted.needed_slots,
        "reserved_slots": wanted.reserved_slots,
        "spot_slots": wanted.spot_slots,
        "fallback_slots": wanted.fallback_slots,
        "unplaced_slots": wanted.unplaced_slots,
        "is_learning": wanted.is_learning,
    }


def _scaler_json(capacity: FleetCapacity, rows: Sequence[PoolCapacity]) -> dict[str, Any]:
    pool = rows[0].pool
    engine_slots = capacity.fleet.engine_slots.get(pool) or capacity.fleet.any_engine_slots
    by_row = capacity.wanted.by_row

    def numbers(of_rows: Sequence[PoolCapacity]) -> dict[str, int]:
        wanted = sum(by_row[row.pool, row.zone] for row in of_rows)
        slots, used = sum(row.slots_total for row in of_rows), sum(row.slots_used for row in of_rows)
        return {
            "wanted_slots": wanted,
            "wanted_engines": engines_for(wanted, engine_slots=engine_slots),
            "slots": slots,
            "used_slots": used,
            "free_slots": max(0, slots - used),
            "engines": sum(row.engines for row in of_rows),
        }

    return {
        "pool": pool,
        "capacity": rows[0].capacity.value,
        "engine_slots": engine_slots,
        **numbers(rows),
        # An engine is of one zone: what is wanted in each is rounded up by itself.
        "wanted_engines": sum(numbers([row])["wanted_engines"] for row in rows),
        "zones": {row.zone or NO_ZONE: numbers([row]) for row in rows},
    }
