"""Promises of a pool's metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from regions.links.pool_metrics import PoolMetrics

pytestmark = pytest.mark.unit


def test_a_pool_is_shown_until_it_is_over_and_the_later_of_two_stays() -> None:
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)

    def members() -> float | None:
        return registry.get_sample_value("patchbay_pool_members", {"region": "eu"})

    first = metrics.watch("eu", members=lambda: 3, connected=lambda: 2)
    assert members() == 3
    assert registry.get_sample_value("patchbay_pool_members_connected", {"region": "eu"}) == 2
    second = metrics.watch("eu", members=lambda: 5, connected=lambda: 2)
    first()
    assert members() == 5
    second()
    second()
    assert members() is None
