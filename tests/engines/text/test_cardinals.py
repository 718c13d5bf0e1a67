"""Whole numbers as English says them."""

from __future__ import annotations

import pytest

from engines.text.cardinals import below_hundred, cardinal, decimal_places, digit_string, ordinal, written, year
from engines.text.tape import Tape

pytestmark = pytest.mark.unit


def tape(said: str) -> Tape:
    return Tape(said.split())


def test_a_number_says_where_its_words_end() -> None:
    assert cardinal(tape("two hundred and five people"), 0) == (205, 4)
    assert below_hundred(tape("twenty five people"), 0) == (25, 2)
    assert ordinal(tape("twenty first of"), 0) == (21, 2)
    assert year(tape("nineteen eighty four was"), 0) == (1984, 3)
    assert digit_string(tape("four oh double two now"), 0) == ("4022", 4)
    assert decimal_places(tape("five million"), 0) == ("5", 1)


def test_what_is_no_number_gives_nothing() -> None:
    for read in (cardinal, below_hundred, ordinal, year):
        assert read(tape("hello"), 0) is None
        assert read(tape(""), 0) is None
    assert digit_string(tape("hello"), 0) == ("", 0)


def test_the_digit_of_a_larger_number_is_not_read_alone() -> None:
    assert digit_string(tape("one two hundred"), 0) == ("1", 1)


def test_digits_one_by_one_do_not_join_a_number_before_them() -> None:
    assert cardinal(tape("eight hundred five five five"), 0) == (800, 2)


def test_thousands_are_set_apart_from_ten_thousand_on() -> None:
    assert [written(value) for value in (7, 2026, 9_999, 10_000, 1_234_567)] == [
        "7",
        "2026",
        "9999",
        "10,000",
        "1,234,567",
    ]
