"""Promises of the loop that polled sources share."""

from __future__ import annotations

import pytest

from engines.preemption.watching import Teller, wait_s
from policies.preemption import MachineAction, NoticeKind, PreemptionNotice
from tests.harness.metadata_servers import Heard

pytestmark = pytest.mark.unit


def event(name: str) -> PreemptionNotice:
    return PreemptionNotice(
        source="x", event_id=name, kind=NoticeKind.rebalance, action=MachineAction.unknown, told_at_ms=0
    )


def test_each_event_is_told_once_and_withdrawn_once() -> None:
    heard = Heard()
    teller = Teller("x", heard)
    teller.heard([event("a")])
    teller.heard([event("a"), event("b")])
    teller.heard([event("b")])
    assert [notice.event_id for notice in heard.notices] == ["a", "b"]
    assert heard.withdrawals == [("x", "a")]


def test_a_source_that_goes_and_comes_back_is_told_once_each_and_withdraws_nothing_meanwhile() -> None:
    heard = Heard()
    teller = Teller("x", heard)
    teller.heard([event("a")])
    for _ in range(3):
        teller.away("no answer")
    assert teller.failures == 3
    teller.heard([event("a")])
    assert (len(heard.notices), heard.withdrawals, heard.troubles) == (1, [], [("x", "no answer")])
    assert heard.returns == ["x", "x"]


def test_questions_become_rarer_while_nobody_answers_but_never_rarer_than_each_half_minute() -> None:
    assert wait_s(1.0, 0) == 1.0
    assert 0.75 <= wait_s(1.0, 1) <= 1.0
    assert 3.0 <= wait_s(1.0, 3) <= 4.0
    assert all(wait_s(5.0, failures) <= 30.0 for failures in range(60))
