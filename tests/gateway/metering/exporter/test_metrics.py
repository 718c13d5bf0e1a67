"""What an exporter counts."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.metering.exporter.metrics import ExporterMetrics

pytestmark = pytest.mark.unit


def test_the_page_tells_each_sinks_figures() -> None:
    metrics = ExporterMetrics(CollectorRegistry())
    metrics.delivered.labels("meter").inc(3)
    metrics.lag.labels("meter").set(1.5)
    page = generate_latest(metrics.registry).decode()
    assert 'patchbay_exporter_delivered_total{sink="meter"} 3.0' in page
    assert 'patchbay_exporter_lag_seconds{sink="meter"} 1.5' in page
