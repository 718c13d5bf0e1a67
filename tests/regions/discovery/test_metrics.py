"""Promises of the metrics of discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from regions.discovery.metrics import DiscoveryMetrics

pytestmark = pytest.mark.unit


def test_kinds_are_told_apart(metrics: DiscoveryMetrics, registry: CollectorRegistry) -> None:
    metrics.engines.labels("file").set(2)
    metrics.engines.labels("redis").set(3)
    assert registry.get_sample_value("patchbay_discovery_engines", {"kind": "file"}) == 2
