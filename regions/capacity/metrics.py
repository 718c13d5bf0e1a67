"""What operators and autoscalers watch of a region's capacity. Asked for at each scrape instead of being kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from policies.capacity import PoolCapacity
    from policies.scaling import Wanted
    from regions.capacity.snapshot import CapacitySnapshot, FleetCapacity

_OF_POOL = ("pool", "zone", "capacity")


class CapacityMetrics:
    """Registers in the given registry, once. Nothing is said while it is too early to tell what there is."""

    def __init__(self, registry: CollectorRegistry, snapshot: Callable[[], CapacitySnapshot]) -> None:
        registry.register(_Collector(snapshot))


class _Collector:
    def __init__(self, snapshot: Callable[[], CapacitySnapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        snapshot = self._snapshot()
        fleets = snapshot.fleets if snapshot.is_settled else ()
        for name, text, of_row in _OF_ROWS:
            family = GaugeMetricFamily(name, text, labels=_OF_POOL)
            for fleet in fleets:
                for row in fleet.fleet.rows:
                    family.add_metric([row.pool, row.zone, row.capacity.value], of_row(row, fleet.wanted))
            yield family
        for name, text, of_fleet in _OF_FLEETS:
            family = GaugeMetricFamily(name, text, labels=["models"])
            for fleet in fleets:
                family.add_metric([fleet.fleet.name], of_fleet(fleet))
            yield family


_OF_ROWS: tuple[tuple[str, str, Callable[[PoolCapacity, Wanted], float]], ...] = (
    (
        "patchbay_capacity_slots",
        "Real-time slots of engines that take streams.",
        lambda row, _wanted: row.slots_total,
    ),
    (
        "patchbay_capacity_used_slots",
        "Slots in use, on engines that leave among them.",
        lambda row, _wanted: row.slots_used,
    ),
    (
        "patchbay_capacity_leaving_slots",
        "Slots of engines that drain or whose machine goes away.",
        lambda row, _wanted: row.slots_leaving,
    ),
    (
        "patchbay_capacity_wanted_slots",
        "Slots that an autoscaler should keep.",
        lambda row, wanted: wanted.by_row[row.pool, row.zone],
    ),
)
_OF_FLEETS: tuple[tuple[str, str, Callable[[FleetCapacity], float]], ...] = (
    (
        "patchbay_capacity_demand_slots",
        "Slots in use, and sessions that found none.",
        lambda fleet: fleet.wanted.demand_slots,
    ),
    (
        "patchbay_capacity_unmet_slots",
        "Sessions of this gateway that found no slot here, as they are.",
        lambda fleet: fleet.unmet_slots,
    ),
    (
        "patchbay_capacity_zone_loss_holds",
        "1 where the demand would be met without the worst zone of spot machines.",
        lambda fleet: float(fleet.zone_loss.holds),
    ),
    (
        "patchbay_capacity_zone_loss_margin_slots",
        "Slots to spare without the worst zone; below zero, slots missing.",
        lambda fleet: fleet.zone_loss.margin_slots,
    ),
    (
        "patchbay_capacity_fallback_slots",
        "Reserved slots wanted in place of spot that does not come.",
        lambda fleet: fleet.wanted.fallback_slots,
    ),
)
