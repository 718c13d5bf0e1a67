"""The search for an engine: at once, then ever later, and not for ever."""

from __future__ import annotations

import pytest

from engines.interface import LossReason, RefusalReason, Refused
from gateway.session.search import NEVER_MS, EngineSearch
from policies.failover import GiveUp, RecoveryLimits

pytestmark = pytest.mark.unit

LIMITS = RecoveryLimits(first_delay_ms=100, max_delay_ms=400, timeout_ms=1_000, max_losses=2)


def make() -> EngineSearch:
    return EngineSearch(LIMITS, jitter_permille=999, now_ms=0)


def test_the_first_try_is_at_once_and_later_ones_wait_longer() -> None:
    search = make()
    assert search.plan_next(0)
    delays = []
    for _ in range(4):
        search.asked(0)
        assert not search.plan_next(0)
        delays.append(search.ask_again_at_ms)
    assert delays == [99, 199, 399, 399]


def test_asking_clears_the_plan() -> None:
    search = make()
    search.asked(0)
    search.plan_next(0)
    search.asked(60)
    assert search.ask_again_at_ms == NEVER_MS
    assert search.asked_at_ms == 60


def test_after_a_grant_the_next_loss_is_answered_at_once() -> None:
    search = make()
    search.asked(0)
    search.found()
    search.lost(LossReason.silent, 500)
    assert search.loss is LossReason.silent
    assert search.plan_next(500)
    assert search.waited_ms(530) == 30
    assert search.give_up_at_ms() == 1_500


def test_what_was_refused_in_one_search_says_nothing_of_the_next() -> None:
    search = make()
    search.refusal = Refused(1, RefusalReason.unknown_model)
    search.found()
    assert search.refusal is None


def test_it_gives_up_for_time_or_for_losses_without_a_final_between() -> None:
    search = make()
    assert search.verdict(999) is None
    assert search.verdict(1_000) is GiveUp.out_of_time
    for _ in range(3):
        search.lost(LossReason.link_lost, 0)
    assert search.verdict(1) is GiveUp.too_many_losses
    search.proven()
    assert search.verdict(1) is None
