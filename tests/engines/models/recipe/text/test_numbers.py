"""Numbers are spoken as English speakers say them."""

from __future__ import annotations

from random import Random

import pytest

from engines.models.recipe.text.numbers import cardinal, digit_string, minute_of_hour, ordinal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (17, "seventeen"),
        (40, "forty"),
        (99, "ninety nine"),
        (600, "six hundred"),
        (12_000, "twelve thousand"),
        (21_007, "twenty one thousand seven"),
        (2_000_015, "two million fifteen"),
    ],
)
def test_cardinals_are_spelled_out(value: int, words: str) -> None:
    assert cardinal(value, Random(0)) == words


def test_and_is_sometimes_said_after_hundreds() -> None:
    said = {cardinal(205, Random(seed)) for seed in range(50)}

    assert said == {"two hundred five", "two hundred and five"}


@pytest.mark.parametrize(
    ("day", "words"), [(1, "first"), (12, "twelfth"), (20, "twentieth"), (30, "thirtieth"), (31, "thirty first")]
)
def test_days_are_ordinals(day: int, words: str) -> None:
    assert ordinal(day) == words


def test_a_digit_string_has_as_many_digits_as_asked() -> None:
    for seed in range(200):
        words = digit_string(Random(seed), shortest=3, longest=5).split()
        digits = [word for word in words if word != "double"]

        assert 3 <= len(digits) <= 5
        assert not {"oh", "zero"} <= set(digits)  # one name for zero per string


def test_minutes_below_ten_are_said_with_oh() -> None:
    said = {minute_of_hour(Random(seed)) for seed in range(500)}

    assert "oh five" in said
    assert "five" not in said
    assert "fifty nine" in said
