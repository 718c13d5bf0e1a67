"""Engines that report, gathered into pools and zones, and pools into fleets: those that can stand in for each other.
Pure: told the time, which must not fall.

A fleet is all pools that serve the same models, whatever their versions. What was seen of a pool is remembered for a
while, so that one whose engines are all gone is not a pool less: it is one without slots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.capacity import PoolCapacity
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from regions.catalog import PoolSpec
    from regions.links.engine_report import EngineReport

_REFERENCE_COST_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """`models`: names, sorted; empty: nobody knows. `engine_slots`: of one engine, by pool, where one was seen."""

    models: tuple[str, ...]
    rows: tuple[PoolCapacity, ...]
    engine_slots: dict[str, int]

    @property
    def name(self) -> str:
        return "+".join(self.models)

    @property
    def any_engine_slots(self) -> int:
        """Of an engine of any of its pools; 1 where none was ever seen."""
        return max(self.engine_slots.values(), default=1)

    @property
    def slots_used(self) -> int:
        return sum(row.slots_used for row in self.rows)

    @property
    def slots_total(self) -> int:
        return sum(row.slots_total for row in self.rows)


@dataclass(slots=True)
class _Pool:
    """What is remembered of one."""

    seen_at_ms: int
    capacity: CapacityClass
    models: frozenset[str]
    engine_slots: int
    zones: dict[str, int]
    """When an engine was seen there."""


class FleetBook:
    """Of one region.

    Args:
        remembered_ms: for how long a pool, or a zone of it, is known without engines and without the catalog.
    """

    def __init__(self, remembered_ms: int) -> None:
        self._remembered_ms = remembered_ms
        self._pools: dict[str, _Pool] = {}

    def look(
        self,
        now_ms: int,
        reports: Sequence[EngineReport],
        specs: Iterable[PoolSpec] = (),
        *,
        is_held: Callable[[str], bool] = lambda _pool: False,
    ) -> tuple[Fleet, ...]:
        """Give the fleets, the largest first.

        Args:
            specs: the catalog's pools of this region. What they say of class, cost and models holds; of the zone, what
                an engine says of its own machine.
            is_held: whether operators drain the pool of that name.
        """
        known = {spec.name: spec for spec in specs}
        self._remember(now_ms, reports, known)
        rows = [replace(row, is_held=is_held(row.pool)) for row in self._rows(reports, known)]
        of_models: dict[tuple[str, ...], list[str]] = {}
        for pool in sorted({row.pool for row in rows}):
            of_models.setdefault(self._models(pool, known.get(pool)), []).append(pool)
        nameless = of_models.get((), [])
        named = [models for models in of_models if models]
        if nameless and len(named) == 1:
            # Where all serve the same there is nothing else that these could be for.
            of_models[named[0]] += of_models.pop(())
        fleets = [self._fleet(models, pools, rows) for models, pools in of_models.items()]
        return tuple(sorted(fleets, key=lambda fleet: (-fleet.slots_total, fleet.models)))

    def _fleet(self, models: tuple[str, ...], pools: list[str], rows: list[PoolCapacity]) -> Fleet:
        slots = {pool: seen.engine_slots for pool in pools if (seen := self._pools.get(pool)) and seen.engine_slots}
        return Fleet(models, tuple(row for row in rows if row.pool in pools), slots)

    def _remember(self, now_ms: int, reports: Sequence[EngineReport], known: dict[str, PoolSpec]) -> None:
        of_pool: dict[str, list[EngineReport]] = {}
        for report in reports:
            of_pool.setdefault(report.load.pool, []).append(report)
        for name, members in of_pool.items():
            taking = [member.load.slots_total for member in members if not member.is_leaving] or [0]
            pool = self._pools.setdefault(name, _Pool(now_ms, CapacityClass.reserved, frozenset(), 0, {}))
            pool.seen_at_ms = now_ms
            pool.capacity = _class_of(members)
            pool.models = frozenset(model.name for member in members for model in member.load.models) or pool.models
            pool.engine_slots = sum(taking) // len(taking) or pool.engine_slots
            for member in members:
                pool.zones[_zone_of(member, known.get(name))] = now_ms
        for name, pool in list(self._pools.items()):
            for zone, at_ms in list(pool.zones.items()):
                if now_ms - at_ms > self._remembered_ms:
                    del pool.zones[zone]
            if now_ms - pool.seen_at_ms > self._remembered_ms:
                del self._pools[name]

    def _rows(self, reports: Sequence[EngineReport], known: dict[str, PoolSpec]) -> list[PoolCapacity]:
        rows = {
            (name, zone): PoolCapacity(
                name,
                pool.capacity if name not in known else known[name].capacity,
                zone,
                cost_permille=known[name].cost_permille if name in known else _REFERENCE_COST_PERMILLE,
            )
            for name, pool in self._pools.items()
            for zone in pool.zones
        }
        for name, spec in known.items():
            has_rows = any(pool == name for pool, _ in rows)
            if spec.zone or not has_rows:
                empty = PoolCapacity(name, spec.capacity, spec.zone, cost_permille=spec.cost_permille)
                rows.setdefault((name, spec.zone), empty)
        for report in reports:
            load = report.load
            key = (load.pool, _zone_of(report, known.get(load.pool)))
            row = rows[key]
            rows[key] = replace(
                row,
                slots_total=row.slots_total + (0 if report.is_leaving else load.slots_total),
                slots_used=row.slots_used + load.slots_used,
                slots_leaving=row.slots_leaving + (load.slots_total if report.is_leaving else 0),
                engines=row.engines + (0 if report.is_leaving else 1),
            )
        return [rows[key] for key in sorted(rows)]

    def _models(self, pool: str, spec: PoolSpec | None) -> tuple[str, ...]:
        seen = self._pools.get(pool)
        if seen is not None and seen.models:
            return tuple(sorted(seen.models))
        return () if spec is None else tuple(sorted({name for name, _version in spec.models}))


def unmet_of(fleets: Sequence[Fleet], by_model: dict[str, int]) -> dict[str, int]:
    """Whose sessions those are that found no slot, by the fleet's name. Whoever named no model is the largest's."""
    unmet: dict[str, int] = {}
    for model, count in by_model.items():
        fleet = next((fleet for fleet in fleets if not model or model in fleet.models), None)
        if fleet is not None:
            unmet[fleet.name] = unmet.get(fleet.name, 0) + count
    return unmet


def _zone_of(report: EngineReport, spec: PoolSpec | None) -> str:
    return report.facts.zone or ("" if spec is None else spec.zone)


def _class_of(members: Iterable[EngineReport]) -> CapacityClass:
    """Where a pool's engines do not agree, what may be lost counts as such."""
    is_spot = any(member.facts.capacity is CapacityClass.spot for member in members)
    return CapacityClass.spot if is_spot else CapacityClass.reserved
