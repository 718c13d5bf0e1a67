"""Dates: which words they cover. The forms are in the table of test_numerals.py."""

from __future__ import annotations

import pytest

from engines.text.dates import day_first, month_first
from engines.text.tape import Item, Tape

pytestmark = pytest.mark.unit


def test_each_part_of_a_date_has_its_own_words() -> None:
    said = Tape(["january", "the", "third", "twenty", "twenty", "six"])
    assert month_first(said, 0) == (Item("January", 0, 1), Item("3,", 1, 3), Item("2026", 3, 6))
    said = Tape(["the", "third", "of", "january"])
    assert day_first(said, 0) == (Item("3", 0, 3), Item("January", 3, 4))


def test_a_month_alone_is_no_date() -> None:
    assert month_first(Tape(["january"]), 0) is None
    assert day_first(Tape(["the", "third", "man"]), 0) is None
