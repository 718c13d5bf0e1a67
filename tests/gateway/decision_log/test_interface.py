from __future__ import annotations

import pytest

from gateway.decision_log.interface import NoDecisionLog
from policies.residency.record import DecisionRecord, Event

pytestmark = pytest.mark.unit


def test_where_no_log_is_configured_nobody_is_refused_for_it() -> None:
    log = NoDecisionLog()
    log.record(DecisionRecord(event=Event.admission))
    assert log.is_writable
    assert not log.record_now(DecisionRecord(event=Event.admission), 0.0), "who needs a record has none"
