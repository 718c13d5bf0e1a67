"""When a snapshot of the capacity may be believed."""

from __future__ import annotations

import pytest

from regions.capacity.snapshot import SETTLED_AFTER_MS, CapacitySnapshot

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("watched_ms", "has_reports", "silent_engines", "is_settled"),
    [
        (0, False, 0, False),
        (0, True, 3, False),
        (0, True, 0, True),
        (SETTLED_AFTER_MS, False, 0, True),
        (SETTLED_AFTER_MS, False, 1, False),
        (SETTLED_AFTER_MS, True, 1, True),
    ],
    ids=[
        "nothing came yet",
        "others have yet to report",
        "all that are listed reported",
        "nobody is there",
        "engines are there and none answers",
        "some answer",
    ],
)
def test_what_is_not_seen_is_not_there_only_when_nothing_speaks_for_it(
    watched_ms: int, has_reports: bool, silent_engines: int, is_settled: bool
) -> None:
    snapshot = CapacitySnapshot(0, watched_ms, has_reports, (), silent_engines)
    assert snapshot.is_settled is is_settled
