"""What a compute bucket promises, for every order of holds, settlements, releases and clock steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compute_quota import Bucket
from policies.plans import MAX_BURST, MAX_RATE_PER_S, MICRO, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unit

START_US = 1_795_780_800 * MICRO
RATE = Rate(per_s=2 * MICRO, burst=10 * MICRO)

rates = st.builds(Rate, per_s=st.integers(1, 5 * MICRO), burst=st.integers(1, 20 * MICRO))
steps = st.lists(
    st.tuples(
        st.sampled_from(["hold", "settle", "release"]),
        st.integers(0, 5 * MICRO),
        st.integers(0, 3 * MICRO),
    ),
    max_size=40,
)


def bucket(*, balance_us: int, held_us: int = 0) -> Bucket:
    return Bucket(balance_us=balance_us, held_us=held_us, at_us=START_US, carry=0)


def played(of: Rate, moves: list[tuple[str, int, int]]) -> Iterator[tuple[Bucket, int, int]]:
    """The bucket, the time, and what was settled, after each move of one that costs no more than what it holds."""
    one, now_us = Bucket.new(of, now_us=START_US), START_US
    for what, amount_us, elapsed_us in moves:
        now_us += elapsed_us
        one.refill(of, now_us=now_us)
        settled_us = 0
        if what == "hold" and one.may_hold(amount_us):
            one.hold(amount_us)
        elif what == "settle":
            settled_us = min(amount_us, one.held_us)
            one.settle(settled_us, out_of_us=one.held_us)
        elif what == "release":
            one.release(amount_us)
        yield one, now_us, settled_us


@given(of=rates, moves=steps)
def test_balance_and_held_together_never_exceed_the_burst(of: Rate, moves: list[tuple[str, int, int]]) -> None:
    for one, _, _ in played(of, moves):
        assert one.balance_us + one.held_us <= of.burst
        assert one.balance_us >= 0


@given(of=rates, moves=steps)
def test_no_window_settles_more_than_burst_and_rate_allow(of: Rate, moves: list[tuple[str, int, int]]) -> None:
    spent = [(now_us, settled_us) for _, now_us, settled_us in played(of, moves)]
    for first, (begin_us, _) in enumerate(spent):
        total_us = 0
        for now_us, settled_us in spent[first:]:
            total_us += settled_us
            assert total_us * MICRO <= of.burst * MICRO + of.per_s * (now_us - begin_us)


@given(
    of=st.builds(Rate, per_s=st.integers(1, MAX_RATE_PER_S), burst=st.integers(1, MAX_BURST)),
    elapsed_us=st.lists(st.integers(0, 10**9), max_size=20),
)
def test_many_small_refills_gain_as_much_as_one(of: Rate, elapsed_us: list[int]) -> None:
    many, one = Bucket(-MAX_BURST, 0, START_US, 0), Bucket(-MAX_BURST, 0, START_US, 0)
    now_us = START_US
    for step_us in elapsed_us:
        now_us += step_us
        many.refill(of, now_us=now_us)
    one.refill(of, now_us=now_us)
    assert (many.balance_us, many.carry) == (one.balance_us, one.carry)


def test_a_new_bucket_is_full() -> None:
    assert Bucket.new(RATE, now_us=START_US).balance_us == RATE.burst


def test_a_borrowed_bucket_begins_empty_and_gains_nothing_by_itself() -> None:
    borrowed = Rate(per_s=0, burst=10 * MICRO)
    one = Bucket.new(borrowed, now_us=START_US)
    one.refill(borrowed, now_us=START_US + 3_600 * MICRO)
    assert one.balance_us == 0


def test_a_leap_of_the_clock_gains_at_most_what_lacks_to_the_burst() -> None:
    one = bucket(balance_us=0, held_us=4 * MICRO)
    one.refill(RATE, now_us=START_US + 86_400 * MICRO)
    assert (one.balance_us, one.held_us) == (6 * MICRO, 4 * MICRO)


def test_a_clock_that_goes_back_takes_and_gives_nothing_and_counts_from_there() -> None:
    one = bucket(balance_us=MICRO)
    one.refill(RATE, now_us=START_US - 3_600 * MICRO)
    assert one.balance_us == MICRO
    one.refill(RATE, now_us=START_US - 3_599 * MICRO)
    assert one.balance_us == 3 * MICRO


def test_work_that_costs_less_than_was_held_leaves_the_rest_held() -> None:
    one = bucket(balance_us=5 * MICRO, held_us=3 * MICRO)
    one.settle(MICRO, out_of_us=2 * MICRO)
    assert (one.balance_us, one.held_us) == (5 * MICRO, 2 * MICRO)


def test_work_that_costs_more_than_was_held_makes_a_debt_that_is_repaid_before_new_holds() -> None:
    one = bucket(balance_us=0, held_us=MICRO)
    one.settle(4 * MICRO, out_of_us=MICRO)
    assert (one.balance_us, one.held_us) == (-3 * MICRO, 0)
    assert one.wait_ms(MICRO, RATE) == 2_000
    one.refill(RATE, now_us=START_US + 1_999_999)
    assert not one.may_hold(MICRO)
    one.refill(RATE, now_us=START_US + 2_000_000)
    assert one.may_hold(MICRO)


def test_a_lowered_burst_takes_what_is_above_it_but_not_what_is_held() -> None:
    one = bucket(balance_us=6 * MICRO, held_us=4 * MICRO)
    one.refill(Rate(per_s=MICRO, burst=5 * MICRO), now_us=START_US)
    assert (one.balance_us, one.held_us) == (MICRO, 4 * MICRO)


def test_spending_in_shadow_never_goes_below_zero() -> None:
    one = bucket(balance_us=MICRO)
    one.spend_in_shadow(3 * MICRO)
    assert one.balance_us == 0


def test_what_a_burst_can_never_hold_has_no_time_to_wait_for() -> None:
    assert bucket(balance_us=0).wait_ms(RATE.burst + 1, RATE) is None
    assert bucket(balance_us=0).wait_ms(1, Rate(per_s=0, burst=MICRO)) is None
    assert bucket(balance_us=0).wait_ms(1, RATE) == 1
