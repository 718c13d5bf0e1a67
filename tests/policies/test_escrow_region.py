"""A region credits each loan once, gives up what may have been spent, and lets one gateway ask at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.compute_quota import Bucket
from policies.escrow import Loan, Outcome
from policies.escrow_region import Books, Look, Minting, look
from policies.plans import MICRO

pytestmark = pytest.mark.unit

NOW = 1_000_000 * MICRO
STEP = Look(
    asker="g1",
    turn_us=3 * MICRO,
    holding_us=100 * MICRO,
    minting=Minting.never,
    safe_per_s=5 * MICRO,
    away_after_us=2 * MICRO,
)
LOAN = Loan(Outcome.lent, epoch=9, generation=NOW, granted_us=50 * MICRO, returned_us=0)


def bucket(balance: int = 0, held: int = 0) -> Bucket:
    return Bucket(balance * MICRO, held * MICRO, NOW, 0)


def books(**known: int) -> Books:
    return Books("server-a", NOW, **known)


def test_a_loan_is_credited_once_however_often_it_is_heard_of() -> None:
    have, held = bucket(), books()
    for _ in range(3):
        held, seen = look(held, have, replace(STEP, loan=LOAN), now_us=NOW, server="server-a")
    assert (have.balance_us, seen.ask.received_us, seen.ask.epoch) == (50 * MICRO, 50 * MICRO, 9)


def test_answers_that_overtake_each_other_credit_the_total() -> None:
    have, held = bucket(), books()
    later = replace(LOAN, granted_us=70 * MICRO)
    for loan in (later, LOAN):
        held, _ = look(held, have, replace(STEP, loan=loan), now_us=NOW, server="server-a")
    assert have.balance_us == 70 * MICRO


@pytest.mark.parametrize(
    "loan", [replace(LOAN, epoch=8), replace(LOAN, generation=NOW - 1), replace(LOAN, outcome=Outcome.absurd)], ids=str
)
def test_a_loan_of_another_life_credits_nothing(loan: Loan) -> None:
    have, held = bucket(), books(epoch=9)
    look(held, have, replace(STEP, loan=loan), now_us=NOW, server="server-a")
    assert have.balance_us == 0


def test_a_new_epoch_of_the_root_begins_new_totals() -> None:
    have, held = bucket(10), books(epoch=8, received_us=500 * MICRO, returned_us=3)
    _, seen = look(held, have, replace(STEP, loan=LOAN), now_us=NOW, server="server-a")
    assert have.balance_us == 60 * MICRO
    assert (seen.ask.epoch, seen.ask.received_us, seen.ask.returned_us) == (9, 50 * MICRO, 0)


def test_a_region_whose_clock_went_back_between_two_lives_steps_over_the_life_that_the_root_knows() -> None:
    have, held = bucket(10), books()
    _, seen = look(held, have, replace(STEP, loan=replace(LOAN, generation=NOW + 5)), now_us=NOW, server="server-a")
    assert seen.ask.generation == NOW + 6
    assert have.balance_us == 10 * MICRO


@pytest.mark.parametrize("known", [None, books(received_us=7, epoch=9)], ids=["no books", "another server"])
def test_what_another_server_holds_is_given_up_but_not_what_is_owed(known: Books | None) -> None:
    have = bucket(40, held=5)
    owing = bucket(-40, held=5)
    _, seen = look(known, have, STEP, now_us=NOW + 1, server="server-b")
    assert (have.balance_us, have.held_us) == (0, 5 * MICRO)
    assert (seen.ask.generation, seen.ask.received_us) == (NOW + 1, 0)
    look(known, owing, STEP, now_us=NOW + 1, server="server-b")
    assert owing.balance_us == -40 * MICRO


def test_no_loan_lifts_what_is_held_above_what_may_be() -> None:
    have = bucket(30, held=40)
    look(books(), have, replace(STEP, loan=LOAN), now_us=NOW, server="server-a")
    assert have.balance_us + have.held_us == 100 * MICRO


def test_what_is_given_back_leaves_the_balance_at_once() -> None:
    have = bucket(30, held=4)
    _, seen = look(books(), have, replace(STEP, gives_back=True), now_us=NOW, server="server-a")
    assert (have.balance_us, seen.ask.returned_us, seen.ask.holding_us) == (0, 30 * MICRO, 4 * MICRO)


def test_one_gateway_asks_until_its_turn_is_over() -> None:
    have, held = bucket(), books()
    held, first = look(held, have, STEP, now_us=NOW, server="server-a")
    held, second = look(held, have, replace(STEP, asker="g2"), now_us=NOW + MICRO, server="server-a")
    held, third = look(held, have, replace(STEP, asker="g2"), now_us=NOW + 3 * MICRO, server="server-a")
    assert [first.may_ask, second.may_ask, third.may_ask] == [True, False, True]
    assert [first.ask.sequence, second.ask.sequence, third.ask.sequence] == [1, 1, 2]


def minted_us(minting: Minting, *, seconds: float, is_cut_off: bool) -> int:
    have, held = bucket(), books()
    for tick in range(int(seconds * 4) + 1):
        step = replace(STEP, minting=minting, is_unanswered=is_cut_off)
        held, seen = look(held, have, step, now_us=NOW + tick * 250_000, server="server-a")
    assert seen.minted_us == have.balance_us
    return seen.minted_us


@pytest.mark.parametrize(
    ("minting", "is_cut_off", "expected"),
    [
        (Minting.never, True, 0),
        (Minting.while_away, False, 0),
        (Minting.while_away, True, 40),
        (Minting.always, False, 50),
        (Minting.fill, False, 0),
        (Minting.fill, True, 100),
    ],
)
def test_a_region_cut_off_spends_what_its_plan_says(minting: Minting, is_cut_off: bool, expected: int) -> None:
    assert minted_us(minting, seconds=10, is_cut_off=is_cut_off) == expected * MICRO


def test_an_answer_of_a_root_that_learns_does_not_end_the_time_away() -> None:
    have, held = bucket(), books()
    step = replace(STEP, is_unanswered=True, loan=LOAN)
    for seconds in range(4):
        held, seen = look(held, have, step, now_us=NOW + seconds * MICRO, server="server-a")
    assert seen.is_root_away


def test_an_answer_ends_the_time_away() -> None:
    have, held = bucket(), books()
    held, _ = look(held, have, replace(STEP, is_unanswered=True), now_us=NOW, server="server-a")
    held, away = look(held, have, STEP, now_us=NOW + 2 * MICRO, server="server-a")
    _, back = look(held, have, replace(STEP, loan=LOAN), now_us=NOW + 3 * MICRO, server="server-a")
    assert (away.is_root_away, back.is_root_away) == (True, False)
