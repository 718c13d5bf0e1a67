"""The metrics of capacity: asked for at each scrape, and silent while nothing is known."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from regions.capacity.metrics import CapacityMetrics
from tests.regions.capacity.reports import SPOT, engine
from tests.regions.capacity.test_watch import Watched

pytestmark = pytest.mark.unit


def test_slots_are_told_by_pool_zone_and_class_and_the_rule_by_fleet() -> None:
    watched, registry = Watched(), CollectorRegistry()
    CapacityMetrics(registry, watched.watch.now)
    watched.look(0, engine("base", slots=10, used=8), engine("spot", SPOT, "a", slots=6, used=1, is_leaving=True))
    base, spot = {"pool": "base", "zone": "", "capacity": "reserved"}, {"pool": "spot", "zone": "a", "capacity": "spot"}
    assert [
        [registry.get_sample_value(f"patchbay_capacity_{name}slots", labels) for labels in (base, spot)]
        for name in ("", "used_", "leaving_", "wanted_")
    ] == [[10, 0], [8, 1], [0, 6], [10, 0]]
    assert [
        registry.get_sample_value(f"patchbay_capacity_{name}", {"models": "en"})
        for name in ("demand_slots", "unmet_slots", "zone_loss_holds", "zone_loss_margin_slots", "fallback_slots")
    ] == [9, 0, 1, 1, 0]


def test_nothing_is_told_while_nothing_is_known() -> None:
    watched, registry = Watched(), CollectorRegistry()
    CapacityMetrics(registry, watched.watch.now)
    assert [sample for family in registry.collect() for sample in family.samples] == []
