"""What geography counts, by its names."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.admission.geography_metrics import GeographyMetrics

pytestmark = pytest.mark.unit


def test_one_set_registers_under_its_own_names_and_counts() -> None:
    registry = CollectorRegistry()
    metrics = GeographyMetrics(registry)
    metrics.places.labels("database").inc()
    metrics.proxy_headers.labels("accepted").inc(2)
    page = generate_latest(registry).decode()
    assert 'patchbay_places_total{source="database"} 1.0' in page
    assert 'patchbay_proxy_headers_total{outcome="accepted"} 2.0' in page
    assert "patchbay_untrusted_headers_total 0.0" in page
