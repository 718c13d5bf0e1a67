"""Sessions that leave a place at a pace: never more than it allows, never held up for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from policies.move_turns import MoveTurns

pytestmark = pytest.mark.unit


def test_the_first_goes_at_once_and_the_others_one_gap_after_the_other() -> None:
    turns = MoveTurns()
    assert [turns.due(now_ms, gap_ms=100, waiting=9) for now_ms in (0, 50, 100, 199, 200)] == [1, 0, 1, 0, 1]


def test_who_asks_late_makes_up_for_a_bounded_number_of_turns() -> None:
    turns = MoveTurns(burst=5)
    turns.due(0, gap_ms=100, waiting=99)
    assert turns.due(300, gap_ms=100, waiting=99) == 3
    assert turns.due(60_000, gap_ms=100, waiting=99) == 5


def test_turns_that_nobody_waited_for_are_not_made_up_for() -> None:
    turns = MoveTurns()
    assert turns.due(0, gap_ms=100, waiting=1) == 1
    assert turns.due(5_000, gap_ms=100, waiting=0) == 0
    assert turns.due(5_000, gap_ms=100, waiting=1) == 1
    assert turns.due(5_050, gap_ms=100, waiting=9) == 0


@given(some.lists(some.tuples(some.integers(0, 400), some.integers(0, 30)), max_size=60), some.integers(1, 300))
def test_the_pace_is_kept_over_any_time(questions: list[tuple[int, int]], gap_ms: int) -> None:
    turns = MoveTurns(burst=5)
    now_ms = gone = 0
    for elapsed_ms, waiting in questions:
        now_ms += elapsed_ms
        going = turns.due(now_ms, gap_ms=gap_ms, waiting=waiting)
        assert 0 <= going <= waiting
        gone += going
        assert gone <= now_ms // gap_ms + 5
