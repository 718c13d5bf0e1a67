"""Times of day: where they end, and what is none. The forms are in the table of test_numerals.py."""

from __future__ import annotations

import pytest

from engines.text.clock_times import clock_time
from engines.text.tape import Item, Tape

pytestmark = pytest.mark.unit


def test_the_half_of_the_day_is_a_word_of_its_own() -> None:
    said = Tape(["half", "past", "three", "p", "m", "today"])
    assert clock_time(said, 0) == (Item("3:30", 0, 3), Item("p.m.", 3, 5))


@pytest.mark.parametrize("said", ["seven forty two", "half of it", "quarter past", "thirteen p m", "three", ""])
def test_without_a_sign_there_is_no_time(said: str) -> None:
    assert clock_time(Tape(said.split(" ")), 0) is None
