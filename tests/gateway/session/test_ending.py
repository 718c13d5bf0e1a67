"""Endings that wait for an utterance."""

from __future__ import annotations

import pytest

from gateway.errors import Reason
from gateway.session.ending import LAST_FINAL_MS, STILL_SENDING_MS, Ending
from gateway.session.search import NEVER_MS

pytestmark = pytest.mark.unit


def test_an_ending_is_due_when_its_utterance_is_cut_or_nothing_is_waited_for() -> None:
    ending = Ending(Reason.draining, "", None, cut_at_ms=500, grace_ms=500)
    assert ending.next_ms == 500
    ending.close_at_ms = 400
    assert ending.next_ms == 400


def test_one_by_policy_is_cut_already_and_waits_for_one_last_final() -> None:
    ending = Ending.by_policy(Reason.wrong_region, "F01", None, ("wss://elsewhere.example",), now_ms=100)
    assert (ending.is_cut, ending.is_by_policy, ending.next_ms) == (True, True, 100 + LAST_FINAL_MS)
    assert (ending.cut_at_ms, ending.gateways) == (NEVER_MS, ("wss://elsewhere.example",))


def test_a_cut_leaves_time_for_the_final_even_where_there_was_no_grace() -> None:
    for grace_ms in (0, 3_000):
        ending = Ending(Reason.draining, "", None, cut_at_ms=500, grace_ms=grace_ms)
        ending.wait_on(600)
        assert (ending.is_cut, ending.next_ms) == (False, 600 + STILL_SENDING_MS)
        ending.cut_soon(700)
        assert ending.next_ms == 700
        ending.cut_soon(800)
        assert ending.next_ms == 700, "it never becomes later"
        ending.cut(900)
        assert (ending.is_cut, ending.next_ms) == (True, 900 + max(grace_ms, STILL_SENDING_MS))


def test_a_drain_waits_for_an_end_of_the_engines_own_and_who_is_shed_needs_none() -> None:
    assert Ending(Reason.draining, "", None, 0, 0).may_wait_for_an_end
    assert Ending(Reason.capacity_shed, "", None, 0, 0).needs_no_cut
    other = Ending(Reason.token_expired, "", None, 0, 0)
    assert (other.may_wait_for_an_end, other.needs_no_cut) == (False, False)
