"""What operators watch of placement. Regions are those of the catalog; what left it is no label any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from policies.routing_facts import Health, RegionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from policies.routing_facts import RegionFacts, RegionSnapshot

_DELAY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0)
_HEALTH = {Health.admitting: 1.0, Health.probing: 0.5, Health.tripped: 0.0}


class PlacementMetrics:
    """Registers in the given registry, once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._placements = Counter(
            "patchbay_placements_total",
            "Streams that regions were asked for, and their answers.",
            ["region", "result"],
            registry=registry,
        )
        self._sessions_shed = Counter(
            "patchbay_sessions_shed_total",
            "Sessions that were ended because one of a higher tier found no free slot.",
            ["tier", "for_tier"],
            registry=registry,
        )
        self._forbidden = Counter(
            "patchbay_placements_forbidden_total",
            "Placements that found nothing, while a region that policy forbids the session had a free slot.",
            ["region"],
            registry=registry,
        )
        self.first_choices = Counter(
            "patchbay_placement_first_choices_total", "Placements begun: each asks one region first.", registry=registry
        )
        self.first_choice_refused = Counter(
            "patchbay_placement_first_choice_refused_total",
            "Placements that the first region asked refused.",
            registry=registry,
        )
        self.retries = Counter(
            "patchbay_placement_retries_total", "Placements that another region was asked for.", registry=registry
        )
        self.replacements_delayed = Histogram(
            "patchbay_replacements_delayed_seconds",
            "How long sessions that go on after a loss were held back until their turn.",
            buckets=_DELAY_S,
            registry=registry,
        )

    def shed(self, tier: str, for_tier: str) -> None:
        """A session was ended for one of a higher tier."""
        self._sessions_shed.labels(tier, for_tier).inc()

    def forbidden(self, region: str) -> None:
        """Capacity exists there, but policy forbids it."""
        self._forbidden.labels(region).inc()

    def placed(self, region: str, result: str) -> None:
        """`result`: `granted`, an engines.interface.RefusalReason, or `cancelled`: nobody waited for the answer."""
        self._placements.labels(region, result).inc()

    def watch(self, snapshot: Callable[[], RegionSnapshot]) -> None:
        """Figures that are asked for at each scrape instead of being kept."""
        self._registry.register(_SnapshotCollector(snapshot))


class _SnapshotCollector:
    def __init__(self, snapshot: Callable[[], RegionSnapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        regions = self._snapshot().regions
        for name, text, value_of in _GAUGES:
            family = GaugeMetricFamily(name, text, labels=["region"])
            for region in regions:
                if (value := value_of(region)) is not None:
                    family.add_metric([region.name], value)
            yield family


_GAUGES: tuple[tuple[str, str, Callable[[RegionFacts], float | None]], ...] = (
    (
        "patchbay_region_rtt_seconds",
        "Round trip to a region, measured.",
        lambda region: region.rtt_ms / 1_000 if region.is_rtt_measured else None,
    ),
    (
        "patchbay_region_health",
        "1: takes sessions. 0.5: a few may show that it works. 0: tripped.",
        lambda region: _HEALTH[region.health],
    ),
    (
        "patchbay_region_reachable",
        "1 while a link to it stands.",
        lambda region: float(region.is_reachable),
    ),
    (
        "patchbay_region_active",
        "0 while it drains or is disabled.",
        lambda region: float(region.state is RegionState.active),
    ),
    (
        "patchbay_region_fact_age_seconds",
        "Age of a region's last report, on this machine's clock.",
        lambda region: None if region.age_ms is None else region.age_ms / 1_000,
    ),
    (
        "patchbay_region_clock_offset_seconds",
        "A region's wall clock less this machine's.",
        lambda region: None if region.clock_offset_ms is None else region.clock_offset_ms / 1_000,
    ),
    ("patchbay_region_slots", "Streams that a region can serve in time.", lambda region: float(region.slots_total)),
    ("patchbay_region_lag_seconds", "How far a region is behind its audio.", lambda region: region.lag_ms / 1_000),
)
