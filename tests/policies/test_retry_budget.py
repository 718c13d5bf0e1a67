"""Retries never become the load."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.retry_budget import RetryBudget, RetryLimits, RetryRefusal

pytestmark = pytest.mark.unit

LIMITS = RetryLimits(max_attempts=3, share_permille=100, window_ms=1_000, floor=2)


def test_a_placement_has_so_many_attempts_and_no_more() -> None:
    budget = RetryBudget(LIMITS)
    budget.placed(0)
    assert [budget.ask(0, attempt=attempt) for attempt in (1, 2, 3)] == [None, None, RetryRefusal.too_many_attempts]


def test_an_idle_gateway_can_still_try_again() -> None:
    budget = RetryBudget(LIMITS)
    assert [budget.ask(0, attempt=1) for _ in range(3)] == [None, None, RetryRefusal.budget_spent]


def test_a_busy_gateway_has_a_tenth_of_its_placements() -> None:
    budget = RetryBudget(LIMITS)
    for _ in range(50):
        budget.placed(100)
    assert [budget.ask(150, attempt=1) for _ in range(6)] == [None] * 5 + [RetryRefusal.budget_spent]


def test_what_is_older_than_the_window_counts_no_more() -> None:
    budget = RetryBudget(LIMITS)
    for _ in range(50):
        budget.placed(0)
    for _ in range(5):
        budget.ask(0, attempt=1)
    assert (budget.ask(999, attempt=1), budget.ask(1_000, attempt=1)) == (RetryRefusal.budget_spent, None)
    assert budget.left == 1


@given(steps=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=120))
def test_in_every_window_retries_stay_below_the_share_or_the_floor(steps: list[tuple[int, bool]]) -> None:
    budget, now_ms = RetryBudget(LIMITS), 0
    placed: list[int] = []
    retried: list[int] = []
    for later_ms, is_placement in steps:
        now_ms += later_ms
        if is_placement:
            budget.placed(now_ms)
            placed.append(now_ms)
        elif budget.ask(now_ms, attempt=1) is None:
            retried.append(now_ms)
            since_ms = (now_ms // 100 - 9) * 100
            placements = sum(at_ms >= since_ms for at_ms in placed)
            retries = sum(at_ms >= since_ms for at_ms in retried)
            assert retries <= max(LIMITS.floor, placements // 10)


@pytest.mark.parametrize("limits", [{"max_attempts": 0}, {"window_ms": 9}, {"floor": -1}, {"share_permille": -1}])
def test_limits_that_make_no_budget_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="retry budget needs"):
        RetryBudget(RetryLimits(**limits))
