"""Check digits, against python-stdnum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.iso7064 import mod_97_10
from stdnum.nl import bsn

from engines.text.check_digits import (
    passes_dni_letter,
    passes_dutch_11,
    passes_luhn,
    passes_mod_11_10,
    passes_mod_97,
    passes_verhoeff,
)

pytestmark = pytest.mark.unit


def digits(length: int, most: int = 0) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=most or length)


@given(digits(2, 20))
def test_luhn_and_verhoeff_agree_with_stdnum(number: str) -> None:
    assert passes_luhn(number) == luhn.is_valid(number)
    assert passes_luhn(number[:-1] + luhn.calc_check_digit(number[:-1]))
    assert passes_verhoeff(number) == verhoeff.is_valid(number)
    assert passes_verhoeff(number[:-1] + verhoeff.calc_check_digit(number[:-1]))


@given(st.text("ABCXYZ0123456789", min_size=12, max_size=30))
def test_mod_97_agrees_with_stdnum(text: str) -> None:
    number = "GB" + mod_97_10.calc_check_digits(text + "GB") + text
    assert passes_mod_97(number)
    # By another character of its kind: a letter counts for two digits, so one in its place may pass by chance.
    first, second = ("A", "B") if number[-1].isalpha() else ("1", "2")
    assert not passes_mod_97(number[:-1] + (first if number[-1] != first else second))


@given(digits(9))
def test_the_dutch_test_agrees_with_stdnum(number: str) -> None:
    if int(number):
        assert passes_dutch_11(number) == bsn.is_valid(number)


@given(digits(8), st.sampled_from("TRWAGMYFPDXBNJZSQVHLCKE"))
def test_the_spanish_letters_agree_with_stdnum(number: str, letter: str) -> None:
    assert passes_dni_letter(number + letter) == dni.is_valid(number + letter)
    assert passes_dni_letter("Y" + number[1:] + letter) == nie.is_valid("Y" + number[1:] + letter)


@pytest.mark.parametrize("number", ["36574261809", "65929970489", "36574261808"])
def test_the_german_test_agrees_with_stdnum(number: str) -> None:
    assert passes_mod_11_10(number) == idnr.is_valid(number)
