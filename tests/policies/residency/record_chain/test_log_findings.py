from __future__ import annotations

import pytest

from policies.residency.record_chain.log_findings import (
    Finding,
    FindingKind,
    Findings,
    Verified,
    WriterEnd,
    WriterVerified,
)

pytestmark = pytest.mark.unit


def test_findings_are_listed_in_order_and_counted_beyond_their_bound() -> None:
    findings = Findings(max_listed=2)
    for line in (5, 3, 4):
        findings.add(Finding(FindingKind.changed, "a", line, "w", None, ""))
    assert [found.line for found in findings.listed] == [3, 5]
    assert findings.num_found == 3


def test_a_log_is_intact_where_nothing_was_found() -> None:
    writers = (WriterVerified("w", 1, 3, 2, 0, WriterEnd.closed), WriterVerified("x", 1, 4, 3, 0, WriterEnd.open))
    verified = Verified((), (), writers, 0)
    assert verified.is_intact
    assert verified.num_records == 7
    assert not Verified((), (), (), 1).is_intact
