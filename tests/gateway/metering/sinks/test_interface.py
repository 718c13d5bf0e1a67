"""What the exporter and a receiver agree on."""

from __future__ import annotations

import pytest

from gateway.metering.sinks.interface import Outgoing
from tests.harness.exporter import usage_event

pytestmark = pytest.mark.unit


def test_an_event_that_the_receiver_took_back_has_another_identifier_that_begins_with_its_id() -> None:
    event = usage_event("acme", 1, at_ms=1)
    identifiers = [Outgoing(event, event.id, times_reported=times).identifier for times in range(3)]
    assert identifiers == [event.id, f"{event.id}-r1", f"{event.id}-r2"]
