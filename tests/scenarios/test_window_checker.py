"""The judge of all bounds is right itself: it finds what trying every window finds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.window_checker import MICRO, worst_excess_us

pytestmark = pytest.mark.unit

SPENDS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=24)


def by_trying_every_window(spends: list[tuple[int, int]], per_s: int, burst: int) -> int:
    instants = [at for at, _ in spends]
    worst = max(
        (
            Fraction(sum(amount for at, amount in spends if begin <= at <= end))
            - Fraction(per_s * (end - begin), MICRO)
            - burst
            for begin in instants
            for end in instants
            if begin <= end
        ),
        default=Fraction(-burst),
    )
    return -((-worst.numerator) // worst.denominator)


@given(spends=SPENDS, per_s=st.integers(0, 3 * MICRO), burst=st.integers(0, 100))
def test_one_pass_finds_what_trying_every_window_finds(spends: list[tuple[int, int]], per_s: int, burst: int) -> None:
    assert worst_excess_us(spends, per_s=per_s, burst=burst) == by_trying_every_window(spends, per_s, burst)


@given(spends=SPENDS, per_s=st.integers(0, 3 * MICRO))
def test_the_order_in_which_spends_are_told_does_not_matter(spends: list[tuple[int, int]], per_s: int) -> None:
    backwards = list(reversed(spends))
    assert worst_excess_us(spends, per_s=per_s, burst=5) == worst_excess_us(backwards, per_s=per_s, burst=5)


def test_a_burst_at_one_instant_counts_whole() -> None:
    assert worst_excess_us([(5, 30), (5, 30), (2 * MICRO, 1)], per_s=MICRO, burst=50) == 10


def test_nothing_spent_stays_below_by_the_burst() -> None:
    assert worst_excess_us([], per_s=1, burst=7) == -7
