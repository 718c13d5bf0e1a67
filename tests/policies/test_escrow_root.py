"""The root lends what it has, once, to all who ask, and never from books that it lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.escrow import Ask, Loan, Outcome, Terms
from policies.escrow_root import Root, lend
from policies.plans import MICRO, Rate

pytestmark = pytest.mark.unit

TERMS = Terms(Rate(per_s=100 * MICRO, burst=600 * MICRO), holding_us=100 * MICRO, learning_us=5 * MICRO)
BEGAN = 1_000_000 * MICRO
FIRST = Ask(epoch=BEGAN, generation=7, sequence=1, received_us=0, returned_us=0, holding_us=0, wanted_us=50 * MICRO)


def root(balance: int = 600, *, at_us: int = BEGAN) -> Root:
    return Root("server-a", BEGAN, 0, balance * MICRO, at_us, 0)


def asked(
    books: Root | None,
    ask: Ask,
    *,
    region: str = "eu",
    at_us: int = BEGAN,
    server: str = "server-a",
    terms: Terms = TERMS,
) -> tuple[Root, Loan]:
    return lend(books, region, ask, terms, now_us=at_us, server=server)


def test_what_is_lent_was_debited() -> None:
    books, loan = asked(root(), FIRST)
    assert (loan.outcome, loan.granted_us, books.balance_us) == (Outcome.lent, 50 * MICRO, 550 * MICRO)


def test_the_same_message_again_is_answered_alike_and_lends_nothing_more() -> None:
    books, loan = asked(root(), FIRST)
    books, again = asked(books, FIRST)
    assert (again.granted_us, books.balance_us) == (loan.granted_us, 550 * MICRO)
    assert again.outcome is Outcome.stale


def test_a_loan_whose_answer_was_lost_is_in_the_next_answer() -> None:
    books, _ = asked(root(), FIRST)
    books, loan = asked(books, replace(FIRST, sequence=2, wanted_us=10 * MICRO))
    assert loan.granted_us == 60 * MICRO


def test_what_is_under_way_counts_as_held() -> None:
    books, _ = asked(root(), FIRST)
    _, loan = asked(books, replace(FIRST, sequence=2, wanted_us=80 * MICRO))
    assert (loan.outcome, loan.granted_us) == (Outcome.full, 100 * MICRO)


def test_messages_that_overtake_each_other_change_nothing() -> None:
    books, _ = asked(root(), replace(FIRST, sequence=5))
    books, loan = asked(books, replace(FIRST, sequence=4, holding_us=90 * MICRO))
    assert loan.outcome is Outcome.stale
    assert books.accounts["eu"].holding_us == 0


def test_what_comes_back_can_be_lent_again_and_comes_back_once() -> None:
    books, _ = asked(root(600), FIRST)
    back = replace(FIRST, sequence=2, received_us=50 * MICRO, returned_us=30 * MICRO, wanted_us=0)
    books, loan = asked(books, back)
    books, again = asked(books, replace(back, sequence=3))
    assert (books.balance_us, loan.returned_us, again.returned_us) == (580 * MICRO, 30 * MICRO, 30 * MICRO)


def test_no_region_is_believed_to_give_back_more_than_it_may_hold() -> None:
    books, _ = asked(root(0), replace(FIRST, returned_us=10_000 * MICRO, wanted_us=0))
    assert books.balance_us == 100 * MICRO


@pytest.mark.parametrize("server", ["server-b", "server-a"], ids=["another server", "no books"])
def test_a_root_that_lost_its_books_begins_empty_and_learns_before_it_lends(server: str) -> None:
    before = root() if server == "server-b" else None
    now_us = BEGAN + MICRO
    books, loan = asked(before, replace(FIRST, holding_us=40 * MICRO), at_us=now_us, server=server)
    assert (loan.outcome, loan.granted_us, books.balance_us) == (Outcome.learning, 0, 0)
    assert loan.epoch > BEGAN
    assert loan.retry_after_ms > 0
    assert books.accounts["eu"].lent_us == 40 * MICRO
    # Nothing is refilled in that time either; afterwards it lends what the rate brings.
    then = replace(FIRST, epoch=loan.epoch, sequence=2, holding_us=40 * MICRO)
    books, loan = asked(books, then, at_us=now_us + 5_100_000, server=server)
    assert (loan.outcome, loan.granted_us) == (Outcome.short, 10 * MICRO)


def test_a_root_with_older_books_than_a_region_has_heard_of_does_not_believe_them() -> None:
    books, loan = asked(root(), replace(FIRST, epoch=BEGAN + 1))
    assert (loan.outcome, books.balance_us, loan.epoch) == (Outcome.learning, 0, BEGAN + 2)


def test_a_region_that_lost_its_books_begins_anew_and_what_was_under_way_is_written_off() -> None:
    books, _ = asked(root(), FIRST)
    books, loan = asked(books, replace(FIRST, generation=8))
    assert (loan.generation, loan.granted_us, books.balance_us) == (8, 50 * MICRO, 500 * MICRO)


def test_a_message_of_an_earlier_life_of_the_region_is_told_which_one_is_known() -> None:
    books, _ = asked(root(), FIRST)
    _, loan = asked(books, replace(FIRST, generation=6, sequence=9))
    assert (loan.outcome, loan.generation) == (Outcome.stale, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wanted_us": -1},
        {"received_us": -1},
        {"returned_us": -5},
        {"sequence": 0},
        {"generation": 0},
        {"wanted_us": 2**60},
        {"holding_us": 2**60},
        {"holding_us": -(2**60)},
        {"epoch": 2**51},
        {"received_us": 5},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_are_refused_and_change_no_account(wrong: dict[str, int]) -> None:
    before, _ = asked(root(), replace(FIRST, wanted_us=0))
    account = replace(before.accounts["eu"])
    books, loan = asked(before, replace(FIRST, **{"sequence": 2, **wrong}))
    assert (loan.outcome, books.balance_us) == (Outcome.absurd, 600 * MICRO)
    assert books.accounts["eu"] == account


def test_a_region_that_asks_too_often_leaves_the_share_of_a_hungry_one() -> None:
    books = root(0)
    sequence = {"eu": 0, "us": 0}
    got = {"eu": 0, "us": 0}
    for tick in range(1, 501):  # 5 s; one asks each 10 ms, the other each 200 ms
        for region, every in (("eu", 1), ("us", 20)):
            if tick % every:
                continue
            sequence[region] += 1
            ask = replace(FIRST, sequence=sequence[region], received_us=got[region])
            books, loan = asked(books, ask, region=region, at_us=BEGAN + tick * 10_000)
            got[region] = loan.granted_us
    assert sum(got.values()) >= 490 * MICRO
    assert got["us"] >= 0.9 * got["eu"]


def test_a_region_that_was_cut_off_is_not_waited_for() -> None:
    books = root(0)
    books, _ = asked(books, FIRST, region="us")
    books, loan = asked(books, FIRST, at_us=BEGAN + 3 * MICRO)
    assert loan.granted_us == 50 * MICRO


def test_a_clock_that_goes_back_gains_nothing_and_stops_nothing() -> None:
    books, _ = asked(root(0), FIRST, at_us=BEGAN + 100 * MICRO)
    balance_us = books.balance_us
    books, _ = asked(books, replace(FIRST, sequence=2, wanted_us=0), at_us=BEGAN)
    assert books.balance_us == balance_us
    books, _ = asked(books, replace(FIRST, sequence=3, wanted_us=0), at_us=BEGAN + 100_000)
    assert books.balance_us == min(balance_us + 10 * MICRO, 600 * MICRO)


def test_a_clock_that_leaps_ahead_gains_at_most_one_burst() -> None:
    books, _ = asked(root(100), replace(FIRST, wanted_us=0), at_us=BEGAN + 10**15)
    assert books.balance_us == 600 * MICRO


def test_what_is_lent_can_be_counted_against_the_burst() -> None:
    terms = replace(TERMS, covers_loans=True)
    books, _ = asked(root(600), FIRST, terms=terms)
    held = replace(FIRST, sequence=2, received_us=50 * MICRO, holding_us=50 * MICRO, wanted_us=0)
    books, _ = asked(books, held, at_us=BEGAN + 100 * MICRO, terms=terms)
    assert books.balance_us == 550 * MICRO
