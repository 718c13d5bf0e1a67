"""One rating version is in force at a time."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.limits.plans_metrics import PlansMetrics

pytestmark = pytest.mark.unit


def test_the_version_in_force_replaces_the_one_before_and_ends_a_failure() -> None:
    registry = CollectorRegistry()
    metrics = PlansMetrics(registry)
    metrics.took("a" * 12)
    metrics.reload_failed.set(1)
    metrics.took("b" * 12)
    assert registry.get_sample_value("patchbay_plans_in_force", {"rating_version": "b" * 12}) == 1
    assert registry.get_sample_value("patchbay_plans_in_force", {"rating_version": "a" * 12}) is None
    assert registry.get_sample_value("patchbay_plans_reload_failed") == 0
