"""What digits may be."""

from __future__ import annotations

import pytest

from engines.text.numbered_things import is_card_number, is_national_id, is_phone_number, lettered_national_ids

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("digits", ["4111111111111111", "378282246310005", "5555555555554444", "6011111111111117"])
def test_cards_of_the_large_schemes_are_known(digits: str) -> None:
    assert is_card_number(digits)
    assert not is_card_number(digits[:-1] + str((int(digits[-1]) + 1) % 10))
    assert not is_card_number(digits[:10])


@pytest.mark.parametrize("digits", ["4155550123", "14155550123", "02079460958", "00442079460958", "011442079460958"])
def test_telephone_numbers_have_a_shape(digits: str) -> None:
    assert is_phone_number(digits, has_plus=False)


@pytest.mark.parametrize("digits", ["5550123", "123456789", "1155550123", "00123", "123456789012"])
def test_other_digits_are_no_telephone_number(digits: str) -> None:
    assert not is_phone_number(digits, has_plus=False)


def test_with_a_plus_length_is_all() -> None:
    assert is_phone_number("442079460958", has_plus=True)
    assert not is_phone_number("44", has_plus=True)


@pytest.mark.parametrize("digits", ["123456789", "219099999", "111222333", "36574261809", "234123412346"])
def test_national_ids_of_digits(digits: str) -> None:
    assert is_national_id(digits)


@pytest.mark.parametrize("digits", ["000456789", "666456780", "123006789", "36574261808", "234123412347", "1234"])
def test_digits_that_are_no_national_id(digits: str) -> None:
    assert not is_national_id(digits)


def test_national_ids_with_letters() -> None:
    assert lettered_national_ids("AB123456C") == [(0, 9)]
    assert lettered_national_ids("IAB123456") == [(1, 9)]
    assert lettered_national_ids("12345678Z") == [(0, 9)]
    assert lettered_national_ids("X1234567L") == [(0, 9)]
    assert lettered_national_ids("GB123456C") == []
    assert lettered_national_ids("12345678A") == []
