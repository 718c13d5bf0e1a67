"""What is counted on the audio path is read when somebody looks."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.webtransport.edge_metrics import EdgeMetrics

pytestmark = pytest.mark.unit


def test_datagrams_are_told_by_their_fate() -> None:
    registry = CollectorRegistry()
    metrics = EdgeMetrics(registry)
    counts = metrics.datagrams
    counts.taken, counts.reordered, counts.late, counts.doubled, counts.gaps, counts.lost_us = 10, 3, 2, 1, 4, 1_500_000
    counts.given_up, counts.waited_ms = 5, 60
    metrics.datagrams_dropped = 7
    value = registry.get_sample_value
    fates = ("in_order", "put_in_order", "late", "doubled", "dropped")
    assert [value("patchbay_webtransport_datagrams_total", {"fate": fate}) for fate in fates] == [7, 3, 2, 1, 7]
    assert value("patchbay_webtransport_reorder_given_up_total") == 5
    assert value("patchbay_webtransport_reorder_waited_seconds_total") == 0.06
    assert value("patchbay_webtransport_gaps_total") == 4
    assert value("patchbay_webtransport_lost_audio_seconds_total") == 1.5


def test_the_process_is_told_by_names_of_its_own() -> None:
    """The gateway's page has `process_*` of the gateway."""
    registry = CollectorRegistry()
    EdgeMetrics(registry)
    names = {sample.name for family in registry.collect() for sample in family.samples}
    assert "patchbay_edge_process_cpu_seconds_total" in names
    assert "patchbay_edge_process_resident_memory_bytes" in names
    assert not any(name.startswith("process_") for name in names)
