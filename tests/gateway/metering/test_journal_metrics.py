"""What is watched of the journal."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.metering.journal_metrics import JournalMetrics

pytestmark = pytest.mark.unit


def test_failures_are_told_by_their_errno() -> None:
    registry = CollectorRegistry()
    JournalMetrics(registry).failures.labels("enospc").inc()
    assert b'patchbay_journal_failures_total{reason="enospc"} 1.0' in generate_latest(registry)
