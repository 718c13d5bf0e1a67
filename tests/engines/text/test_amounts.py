"""Money, percentages, decimals: where they end, and what is none. The forms are in the table of test_numerals.py."""

from __future__ import annotations

import pytest

from engines.text.amounts import amount
from engines.text.tape import Item, Tape

pytestmark = pytest.mark.unit


def test_an_amount_covers_its_words_and_no_more() -> None:
    assert amount(Tape(["twenty", "five", "dollars", "and", "ten", "cents", "please"]), 0) == (Item("$25.10", 0, 6),)
    assert amount(Tape(["two", "point", "five", "million", "dollars"]), 0) == (
        Item("$2.5", 0, 3),
        Item("million", 3, 5),
    )


@pytest.mark.parametrize("said", ["twenty five", "hello", "twenty apples", "two halves", ""])
def test_a_number_alone_is_no_amount(said: str) -> None:
    assert amount(Tape(said.split(" ")), 0) is None
