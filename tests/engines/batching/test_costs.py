"""Promises of step costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.batching.costs import StepCosts
from engines.contract import StepTime

pytestmark = pytest.mark.unit


def costs(*pairs: tuple[int, int]) -> StepCosts:
    return StepCosts([StepTime(batch, step_us) for batch, step_us in pairs])


def test_sizes_between_two_measured_ones_lie_on_the_line_and_larger_ones_go_on_in_proportion() -> None:
    found = costs((1, 100), (4, 400), (8, 600))
    assert [found.predicted_us(batch) for batch in (1, 2, 4, 6, 8, 16)] == [100, 200, 400, 500, 600, 1_200]


def test_a_slower_machine_is_believed_within_a_few_dozen_steps_and_a_silent_moment_is_not() -> None:
    found = costs((1, 100), (8, 800))
    for _ in range(40):
        found.observe(8, 1_600)
    assert 1_550 <= found.predicted_us(8) <= 1_600
    assert found.predicted_us(1) > 150  # what slows steps of eight slows steps of one
    for _ in range(200):
        found.observe(8, 80)
    assert found.predicted_us(8) == 800


def test_one_slow_step_changes_little() -> None:
    found = costs((1, 100), (8, 800))
    found.observe(8, 1_600)
    assert found.predicted_us(8) == 900


def test_a_size_that_was_never_measured_is_learnt_from_the_steps() -> None:
    found = costs((1, 100))
    found.observe(30, 9_000)
    assert found.predicted_us(30) == 9_000


def test_fixed_cost_and_cost_of_a_row_add_up_to_what_was_measured() -> None:
    found = costs((1, 1_100), (2, 1_200), (4, 1_400), (8, 1_800))
    assert (found.fixed_us, found.row_us) == (1_000, 100)


def test_costs_cannot_be_made_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        StepCosts([])


measured = st.lists(
    st.builds(StepTime, st.integers(1, 512), st.integers(1, 1_000_000)),
    min_size=1,
    max_size=8,
    unique_by=lambda entry: entry.batch,
)


@given(measured=measured, seen=st.lists(st.tuples(st.integers(1, 512), st.integers(1, 1_000_000)), max_size=20))
def test_more_rows_never_cost_less(measured: list[StepTime], seen: list[tuple[int, int]]) -> None:
    found = StepCosts(measured)
    for batch, step_us in seen:
        found.observe(batch, step_us)
    predicted = [found.predicted_us(batch) for batch in range(1, 600)]
    assert predicted == sorted(predicted)
    assert found.row_us >= 1
    assert found.fixed_us >= 0


@given(measured=measured, budget_us=st.integers(0, 2_000_000), most=st.integers(0, 600))
def test_rows_within_a_budget_are_the_most_that_keep_it(measured: list[StepTime], budget_us: int, most: int) -> None:
    found = StepCosts(measured)
    rows = found.rows_within(budget_us, most=most)
    assert 0 <= rows <= most
    assert rows == 0 or found.predicted_us(rows) <= budget_us
    assert rows == most or found.predicted_us(rows + 1) > budget_us
