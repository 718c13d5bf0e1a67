"""Every way in which a session can go on has its figure from the start."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.resumption.metrics import KnownBy, ResumptionMetrics

pytestmark = pytest.mark.unit


def test_what_has_not_happened_yet_is_zero() -> None:
    registry = CollectorRegistry()
    ResumptionMetrics(registry)
    for known_by in KnownBy:
        assert registry.get_sample_value("patchbay_resumption_resumed_total", {"known_by": known_by.value}) == 0
