"""Outcomes and refusals are counted by closed sets of labels."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.escrow.metrics import EscrowMetrics

pytestmark = pytest.mark.unit


def test_every_metric_is_named_after_escrow_and_registered_once() -> None:
    registry = CollectorRegistry()
    EscrowMetrics(registry)
    assert all(metric.name.startswith("patchbay_escrow_") for metric in registry.collect())
    with pytest.raises(ValueError, match="Duplicated"):
        EscrowMetrics(registry)
