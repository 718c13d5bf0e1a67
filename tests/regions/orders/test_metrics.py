"""Metrics of orders: named, labelled, and in the registry that is given."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from regions.orders.metrics import OrderMetrics

pytestmark = pytest.mark.unit


def test_what_is_counted_stands_on_the_page_with_its_labels() -> None:
    registry = CollectorRegistry()
    metrics = OrderMetrics(registry)
    metrics.in_force.labels("pool", "drain").set(2)
    metrics.moved.labels("pool").inc(3)
    assert registry.get_sample_value("patchbay_orders_in_force", {"scope": "pool", "kind": "drain"}) == 2
    assert registry.get_sample_value("patchbay_orders_sessions_moved_total", {"scope": "pool"}) == 3
