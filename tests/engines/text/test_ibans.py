"""International bank account numbers."""

from __future__ import annotations

import pytest

from engines.text.ibans import iban_end

pytestmark = pytest.mark.unit

IBANS = [
    "GB29NWBK60161331926819",
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "ES9121000418450200051332",
]


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_is_found_where_it_begins(iban: str) -> None:
    assert iban_end(f"XX{iban}123", 2) == len(iban) + 2


@pytest.mark.parametrize("iban", IBANS)
def test_a_wrong_digit_a_missing_one_or_an_unknown_country_make_none(iban: str) -> None:
    assert iban_end(iban[:-1] + str((int(iban[-1]) + 1) % 10), 0) is None
    assert iban_end(iban[:-1], 0) is None
    assert iban_end("ZZ" + iban[2:], 0) is None
