"""Promises of the catalog's metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from regions.catalog_metrics import CatalogMetrics

pytestmark = pytest.mark.unit


def test_only_the_catalog_in_force_is_shown() -> None:
    registry = CollectorRegistry()
    metrics = CatalogMetrics(registry)
    metrics.took("one")
    metrics.reload_failed.set(1)
    metrics.took("two")
    assert registry.get_sample_value("patchbay_catalog_in_force", {"digest": "one"}) is None
    assert registry.get_sample_value("patchbay_catalog_in_force", {"digest": "two"}) == 1
    assert registry.get_sample_value("patchbay_catalog_reload_failed") == 0
