"""One level as a gateway borrows for it: when it asks, when it gives back, what it does while the root is away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.escrow.borrowed_level import BorrowedLevel
from policies.escrow import Ask, Loan, Outcome
from policies.escrow_region import Minting, Seen
from policies.plans import MICRO, Level, WhenLimiterAway
from tests.harness.escrow_regions import RATE, WHO, escrow_settings

pytestmark = pytest.mark.unit

EMPTY = Seen(
    Ask(epoch=1, generation=1, sequence=1, received_us=0, returned_us=0, holding_us=0, wanted_us=0),
    balance_us=0,
    minted_us=0,
    credited_us=0,
    is_root_away=False,
    may_ask=True,
    turn_left_us=MICRO,
)
FULL = replace(EMPTY, ask=replace(EMPTY.ask, received_us=20 * MICRO, holding_us=20 * MICRO), balance_us=20 * MICRO)


def level(when_away: WhenLimiterAway = WhenLimiterAway.closed, **changes: object) -> BorrowedLevel:
    borrowed = BorrowedLevel(WHO, Level.org, escrow_settings(**changes), now_ms=0)
    borrowed.noted("plan", RATE, when_away, now_ms=0)
    return borrowed


def test_an_empty_region_asks_at_once_and_says_what_it_holds() -> None:
    borrowed = level()
    ask = borrowed.seen(EMPTY, 1, now_ms=0)
    assert ask is not None
    assert ask.ask.wanted_us > 0
    assert not borrowed.is_known.is_set()


def test_a_region_with_enough_reports_now_and_then_and_wants_nothing() -> None:
    borrowed = level()
    first = borrowed.seen(FULL, 1, now_ms=0)
    assert first is not None
    assert first.ask.wanted_us == 0
    borrowed.answered(Loan(Outcome.lent, 1, 1, 0, 0), now_ms=1)
    assert borrowed.seen(FULL, 1, now_ms=50) is None
    assert borrowed.seen(FULL, 1, now_ms=101) is not None


def test_a_gateway_whose_turn_it_is_not_asks_nobody() -> None:
    assert level().seen(replace(EMPTY, may_ask=False), 1, now_ms=0) is None


def test_an_answer_is_credited_at_the_next_look_which_is_due_at_once() -> None:
    borrowed = level()
    loan = Loan(Outcome.short, 1, 1, 5, 0, retry_after_ms=77)
    borrowed.answered(loan, now_ms=40)
    assert (borrowed.due_ms, borrowed.step("g").loan) == (40, loan)
    assert borrowed.seen(EMPTY, 1, now_ms=40) is not None or borrowed.due_ms == 117
    assert borrowed.step("g").loan is None


def test_an_ask_that_fails_is_tried_again_after_a_growing_wait() -> None:
    borrowed = level(report_ms=100)
    waits = []
    for _ in range(6):
        borrowed.unanswered(now_ms=0)
        assert borrowed.step("g").is_unanswered
        waits.append(borrowed.due_ms)
    assert waits == [10, 20, 40, 80, 100, 100]


def test_a_closed_plan_lets_nobody_wait_for_a_root_that_is_away() -> None:
    away = replace(EMPTY, is_root_away=True)
    for when_away, waits in ((WhenLimiterAway.closed, False), (WhenLimiterAway.open, True)):
        borrowed = level(when_away)
        borrowed.seen(away, 0, now_ms=0)
        assert borrowed.is_known.is_set() is not waits
        assert not borrowed.may_open


@pytest.mark.parametrize("outcome", [Outcome.short, Outcome.full])
def test_nobody_waits_for_compute_that_the_root_does_not_have(outcome: Outcome) -> None:
    borrowed = level()
    borrowed.answered(Loan(outcome, 1, 1, 0, 0, 50), now_ms=0)
    borrowed.seen(EMPTY, 1, now_ms=0)
    assert borrowed.is_known.is_set()


def test_a_root_that_learns_counts_as_one_that_does_not_lend() -> None:
    borrowed = level()
    borrowed.answered(Loan(Outcome.learning, 1, 1, 0, 0, 50), now_ms=0)
    assert borrowed.step("g").is_unanswered
    borrowed.seen(EMPTY, 1, now_ms=0)
    assert (borrowed.does_root_lend, borrowed.is_known.is_set()) == (False, False)
    borrowed.answered(Loan(Outcome.lent, 1, 1, 5, 0), now_ms=60)
    borrowed.seen(FULL, 1, now_ms=60)
    assert (borrowed.does_root_lend, borrowed.is_known.is_set()) == (True, True)


def test_an_absurd_answer_begins_a_new_generation() -> None:
    borrowed = level()
    borrowed.answered(Loan(Outcome.absurd, 1, 1, 0, 0), now_ms=0)
    assert borrowed.step("g").resets


def test_a_root_that_knows_no_such_limit_counts_as_away() -> None:
    borrowed = level()
    borrowed.answered(Loan(Outcome.unlimited, 0, 1, 0, 0), now_ms=0)
    assert borrowed.step("g").is_unanswered


@pytest.mark.parametrize(
    ("when_away", "changes", "minting"),
    [
        (WhenLimiterAway.closed, {"safe_share_permille": 50}, Minting.never),
        (WhenLimiterAway.safe, {"safe_share_permille": 0}, Minting.never),
        (WhenLimiterAway.safe, {"safe_share_permille": 50}, Minting.while_away),
        (WhenLimiterAway.closed, {"safe_share_permille": 50, "sets_safe_share_aside": True}, Minting.always),
        (WhenLimiterAway.open, {}, Minting.fill),
    ],
)
def test_what_is_spent_without_the_root_is_as_the_plan_says(
    when_away: WhenLimiterAway, changes: dict[str, object], minting: Minting
) -> None:
    assert level(when_away, **changes).step("g").minting is minting


def test_a_level_without_sessions_gives_back_what_it_holds_and_is_done_when_the_root_knows() -> None:
    borrowed = level(idle_ms=1_000)
    borrowed.seen(FULL, 0, now_ms=900)
    assert not borrowed.step("g").gives_back
    borrowed.seen(FULL, 0, now_ms=1_900)
    assert borrowed.step("g").gives_back
    given = replace(EMPTY, ask=replace(EMPTY.ask, received_us=20 * MICRO, returned_us=20 * MICRO))
    assert borrowed.seen(given, 0, now_ms=1_950) is not None
    assert not borrowed.is_done
    borrowed.answered(Loan(Outcome.lent, 1, 1, 20 * MICRO, 20 * MICRO), now_ms=1_960)
    borrowed.seen(given, 0, now_ms=1_960)
    assert borrowed.is_done


def test_a_level_with_sessions_is_never_idle_though_they_spend_nothing() -> None:
    borrowed = level(idle_ms=1_000)
    for now_ms in range(0, 20_000, 500):
        borrowed.seen(EMPTY, 1, now_ms=now_ms)
    assert not borrowed.is_done
    assert not borrowed.step("g").gives_back


def test_a_level_whose_root_stays_away_is_forgotten_in_the_end() -> None:
    borrowed = level(idle_ms=1_000)
    for now_ms in range(0, 12_000, 500):
        borrowed.seen(EMPTY, 0, now_ms=now_ms)
    assert borrowed.is_done
