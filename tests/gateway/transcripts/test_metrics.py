"""Promises of the figures about stored words."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.transcripts.metrics import TranscriptMetrics

pytestmark = pytest.mark.unit


def test_bytes_are_those_of_the_store() -> None:
    registry = CollectorRegistry()
    TranscriptMetrics(registry).watch(lambda: 7)
    assert registry.get_sample_value("patchbay_transcripts_bytes") == 7
