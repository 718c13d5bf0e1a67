"""Promises of the relay's metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from regions.relay.metrics import RelayMetrics

pytestmark = pytest.mark.unit


def test_a_registry_shows_what_was_counted() -> None:
    registry = CollectorRegistry()
    metrics = RelayMetrics(registry)
    metrics.opens.labels("eu-west", "granted").inc()
    metrics.rejected.labels("unknown_peer").inc()
    text = generate_latest(registry).decode()
    assert 'patchbay_relay_opens_total{outcome="granted",region="eu-west"} 1.0' in text
    assert 'patchbay_relay_rejected_links_total{reason="unknown_peer"} 1.0' in text
