"""What an edge process counts is what its listener touches."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.webtransport.quic.metrics import QuicMetrics

pytestmark = pytest.mark.unit


def test_all_of_it_is_on_the_page_of_its_registry() -> None:
    registry = CollectorRegistry()
    metrics = QuicMetrics(registry)
    metrics.certificate_reloaded(is_taken=True)
    metrics.certificate_reloaded(is_taken=False)
    page = generate_latest(registry).decode()
    assert 'patchbay_quic_certificate_reloads_total{outcome="taken"} 1.0' in page
    assert 'patchbay_quic_certificate_reloads_total{outcome="refused"} 1.0' in page
    assert "patchbay_quic_connections 0.0" in page
