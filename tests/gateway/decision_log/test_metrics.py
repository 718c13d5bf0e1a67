from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.metrics import DecisionLogMetrics

pytestmark = pytest.mark.unit


def test_gauges_ask_the_log_when_they_are_read() -> None:
    registry = CollectorRegistry()
    metrics = DecisionLogMetrics(registry)
    state = {"writable": True, "waiting": 3}
    metrics.watch(lambda: bool(state["writable"]), lambda: state["waiting"])
    assert registry.get_sample_value("patchbay_decision_log_writable") == 1
    assert registry.get_sample_value("patchbay_decision_log_waiting_records") == 3
    state["writable"] = False
    assert registry.get_sample_value("patchbay_decision_log_writable") == 0
