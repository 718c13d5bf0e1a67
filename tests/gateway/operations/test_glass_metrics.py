"""Promises of the figures about emergency permissions."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.operations.glass_metrics import GlassMetrics

pytestmark = pytest.mark.unit


def test_open_ones_and_uses_are_counted() -> None:
    registry = CollectorRegistry()
    metrics = GlassMetrics(registry)
    metrics.watch(lambda: 2)
    metrics.used("process")
    assert registry.get_sample_value("patchbay_break_glass_open") == 2
    assert registry.get_sample_value("patchbay_break_glass_used_total", {"action": "process"}) == 1
