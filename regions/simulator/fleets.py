"""How many machines a fleet wants in one region: one class for each kind of fleet. Pure.

All but the reserved fleet follow policies.scaling, the rule that a region's autoscalers read. The fallback fleet has
SkyServe's two rules on top: some more spot machines than are asked for, and machines on demand for every spot machine
that is missing, until it is there (`dynamic_ondemand_fallback`; SkyPilot's documentation, "Using Spot Instances for
Serving").
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Protocol

from policies.capacity import PoolCapacity, needed_slots
from policies.routing_facts import CapacityClass
from policies.scaling import ScalingRules, ScalingTarget, engines_for, ideal_split
from regions.simulator.machines import Paid
from regions.simulator.scenario import FleetKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.simulator.scenario import Fleet, Machines

Engines = dict[tuple[Paid, int], int]
"""How many engines, by how they are paid for and the number of their zone."""
_PERMILLE = 1_000
_SIGMAS = 3.0
_FIRM, _SPOT = "firm", "spot"


@dataclass(frozen=True, slots=True)
class Seen:
    """One region at one time.

    Attributes:
        slots, used: of engines that take streams, by class and zone.
        unmet: sessions that have no slot here and want one.
        short_zones: where no spot machine is to be had.
    """

    now_ms: int
    slots: Mapping[tuple[Paid, int], int]
    used: int
    unmet: int
    short_zones: frozenset[int] = frozenset()


class Planner(Protocol):
    """Of one region."""

    def wants(self, seen: Seen) -> Engines:
        """How many engines there should be. Called steadily."""
        ...

    def at_first(self, sessions: float) -> Engines:
        """How many there are when the scenario begins, with so many sessions expected."""
        ...


def planner_of(fleet: Fleet, machines: Machines, *, peak_sessions: float) -> Planner:
    """Give the planner of one region, whose own callers hold so many sessions on average at their peak."""
    peak_engines = engines_for(
        peak_slots(peak_sessions, margin_permille=fleet.margin_permille), engine_slots=machines.slots
    )
    if fleet.kind is FleetKind.reserved:
        return _Fixed(_spread(Paid.reserved, peak_engines, range(machines.zones)))
    zones = range(min(fleet.zones or machines.zones, machines.zones))
    floor = ceil(peak_engines * fleet.floor_permille / _PERMILLE)
    return _Scaled(fleet, machines.slots, floor, list(zones))


def peak_slots(sessions: float, *, margin_permille: int) -> int:
    """The peak's mean, three standard deviations of a Poisson number, and the margin on top."""
    return needed_slots(ceil(sessions + _SIGMAS * sqrt(sessions)), headroom_permille=margin_permille)


@dataclass(frozen=True, slots=True)
class _Fixed:
    engines: Engines

    def wants(self, seen: Seen) -> Engines:
        return self.engines

    def at_first(self, sessions: float) -> Engines:
        return self.engines


class _Scaled:
    """By policies.scaling over rows for each class and zone that the fleet uses."""

    def __init__(self, fleet: Fleet, engine_slots: int, floor: int, zones: list[int]) -> None:
        self._fleet = fleet
        self._engine_slots = engine_slots
        self._floor = floor
        self._zones = zones
        self._has_spot = fleet.kind is not FleetKind.on_demand
        self._survives = fleet.kind is FleetKind.patchbay
        self._rules = ScalingRules(
            headroom_permille=fleet.margin_permille,
            reserved_floor_slots=floor * engine_slots,
            is_zone_loss_survived=self._survives,
        )
        self._target = ScalingTarget(self._rules, 0)

    def wants(self, seen: Seen) -> Engines:
        rows = self._rows(seen)
        wanted = self._target.wants(seen.now_ms, rows, unmet_slots=seen.unmet, engine_slots=self._engine_slots)
        firm_slots = sum(slots for (pool, _), slots in wanted.by_row.items() if pool == _FIRM)
        spot_slots = sum(slots for (pool, _), slots in wanted.by_row.items() if pool == _SPOT)
        if self._fleet.kind is FleetKind.spot:
            firm_slots = 0
        elif self._fleet.kind is FleetKind.fallback:
            target = needed_slots(wanted.spot_slots, headroom_permille=self._fleet.extra_permille)
            spot_slots = max(spot_slots, target) if wanted.is_learning else target
            there = sum(slots for (paid, _), slots in seen.slots.items() if paid is Paid.spot)
            missing = spot_slots - there if self._fleet.has_fallback else 0
            firm_slots = self._floor * self._engine_slots + max(0, missing)
        elif self._fleet.kind is FleetKind.patchbay and not self._fleet.has_fallback:
            firm_slots -= wanted.fallback_slots
        return self._engines(firm_slots, spot_slots)

    def at_first(self, sessions: float) -> Engines:
        needed = peak_slots(sessions, margin_permille=self._fleet.margin_permille)
        firm, spot = ideal_split(
            needed,
            reserved_floor=self._floor * self._engine_slots,
            spot_zones=len(self._zones) if self._has_spot else 0,
            is_zone_loss_survived=self._survives,
        )
        if self._fleet.kind is FleetKind.fallback:
            spot = needed_slots(spot, headroom_permille=self._fleet.extra_permille)
        return self._engines(firm, spot)

    def _engines(self, firm_slots: int, spot_slots: int) -> Engines:
        engines = _spread(Paid.reserved, self._floor, self._zones)
        on_demand = engines_for(max(0, firm_slots - self._floor * self._engine_slots), engine_slots=self._engine_slots)
        engines |= _spread(Paid.on_demand, on_demand, self._zones)
        for place, zone in enumerate(self._zones if self._has_spot else ()):
            # Each zone's share is rounded up: with one of them lost, enough must be left.
            share = (spot_slots + len(self._zones) - 1 - place) // len(self._zones)
            engines[Paid.spot, zone] = engines_for(share, engine_slots=self._engine_slots)
        return engines

    def _rows(self, seen: Seen) -> Sequence[PoolCapacity]:
        has_firm = self._fleet.kind is not FleetKind.spot
        rows = []
        for zone in self._zones:
            if has_firm:
                firm = seen.slots.get((Paid.reserved, zone), 0) + seen.slots.get((Paid.on_demand, zone), 0)
                rows.append(PoolCapacity(_FIRM, CapacityClass.reserved, str(zone), slots_total=firm))
            if self._has_spot:
                spot = seen.slots.get((Paid.spot, zone), 0)
                rows.append(PoolCapacity(_SPOT, CapacityClass.spot, str(zone), slots_total=spot))
        first = rows[0]
        rows[0] = PoolCapacity(
            first.pool, first.capacity, first.zone, slots_total=first.slots_total, slots_used=seen.used
        )
        return rows


def _spread(paid: Paid, engines: int, zones: Sequence[int]) -> Engines:
    """Evenly; the first zones take what is left over."""
    each, rest = divmod(engines, len(zones))
    return {(paid, zone): each + (1 if place < rest else 0) for place, zone in enumerate(zones)}
