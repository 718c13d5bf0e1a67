"""Who counts as demand that is not met, and for how long."""

from __future__ import annotations

import pytest

from policies.unmet_demand import MAX_REMEMBERED, UnmetDemand

pytestmark = pytest.mark.unit


def test_a_session_that_waits_counts_once_however_often_it_asks() -> None:
    unmet = UnmetDemand()
    for _ in range(5):
        unmet.wanted("s1", "en")
    unmet.wanted("s2", "")
    assert unmet.by_model(0) == {"en": 1, "": 1}


def test_one_that_gets_its_slot_counts_no_more() -> None:
    unmet = UnmetDemand()
    unmet.wanted("s1", "en")
    unmet.served("s1", is_here=True)
    unmet.closed("s1", 10)
    assert unmet.by_model(10) == {}


def test_one_that_is_served_elsewhere_counts_until_it_is_over() -> None:
    unmet = UnmetDemand()
    unmet.wanted("s1", "en")
    unmet.served("s1", is_here=False)
    assert unmet.by_model(3_600_000) == {"en": 1}
    unmet.closed("s1", 3_600_000)
    assert unmet.by_model(3_600_000) == {}


def test_one_that_was_refused_counts_for_a_while() -> None:
    unmet = UnmetDemand(remembered_ms=1_000)
    unmet.wanted("s1", "en")
    unmet.closed("s1", 500)
    assert [unmet.by_model(now_ms) for now_ms in (1_500, 1_501)] == [{"en": 1}, {}]


def test_sessions_that_never_wanted_anything_are_nothing() -> None:
    unmet = UnmetDemand()
    unmet.served("s1", is_here=False)
    unmet.closed("s1", 0)
    assert unmet.by_model(0) == {}


def test_memory_of_refused_sessions_is_bounded() -> None:
    unmet = UnmetDemand()
    for number in range(MAX_REMEMBERED + 100):
        unmet.wanted(f"s{number}", "")
        unmet.closed(f"s{number}", number)
    assert unmet.by_model(MAX_REMEMBERED) == {"": MAX_REMEMBERED}
