"""Acts are counted by what became of them, and waiting events are shown."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.operations.metrics import OperationsMetrics

pytestmark = pytest.mark.unit


def test_acts_are_counted_and_waiting_events_are_asked_for_when_they_are_read() -> None:
    registry = CollectorRegistry()
    metrics = OperationsMetrics(registry)
    waiting = [1, 2]
    metrics.watch(lambda: len(waiting))
    metrics.acted("stop", "stopped")
    assert registry.get_sample_value("patchbay_operations_total", {"act": "stop", "outcome": "stopped"}) == 1
    waiting.pop()
    assert registry.get_sample_value("patchbay_audit_events_waiting") == 1
