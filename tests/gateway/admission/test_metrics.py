"""What admission shows of itself."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.metrics import AdmissionMetrics

pytestmark = pytest.mark.unit


def test_a_gateway_that_follows_no_revocations_says_so() -> None:
    registry = CollectorRegistry()
    AdmissionMetrics(registry)
    assert registry.get_sample_value("patchbay_revocations_age_seconds") == -1
