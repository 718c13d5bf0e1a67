"""The limiter's metrics carry no names of orgs, keys or sessions."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.limits.metrics import LimiterMetrics
from gateway.redis_link.errors import AwayReason

pytestmark = pytest.mark.unit


def test_labels_are_from_small_closed_sets_and_there_from_the_start() -> None:
    registry = CollectorRegistry()
    LimiterMetrics(registry)
    labels = {name for metric in registry.collect() for sample in metric.samples for name in sample.labels}
    assert labels <= {"kind", "limit", "level", "reason", "mode", "le"}
    for why in AwayReason:
        assert registry.get_sample_value("patchbay_limiter_failures_total", {"reason": why.value}) == 0
