from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3 import offered_protocols
from gateway.webtransport.http3.offered_protocols import (
    MAX_OFFERS,
    encode_choice,
    encode_offers,
    parse_choice,
    parse_offers,
)

pytestmark = pytest.mark.unit

VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)


def test_what_chromium_sends_is_read_in_its_order() -> None:
    assert parse_offers(['"patchbay.v1", "bearer.eyJhbGciOi.J9.x-_"']) == ("patchbay.v1", "bearer.eyJhbGciOi.J9.x-_")


def test_several_fields_are_one_list() -> None:
    assert parse_offers(['"a"', '"b"']) == ("a", "b")


def test_parameters_mean_nothing() -> None:
    assert parse_offers(['"a";q=0.5; x="y, z";t, "b";n=?1;k=:YQ==:']) == ("a", "b")


@pytest.mark.parametrize(
    "value", ["", "a", '"a', '"a", b', '"a",', '"a" "b"', '"a", 5', '("a" "b")', '"ä"', '"a\\x"', '"a";;', "\x00"]
)
def test_a_field_that_is_no_list_of_strings_is_passed_over_as_a_whole(value: str) -> None:
    assert parse_offers([value]) == ()


def test_too_many_offers_are_none() -> None:
    names = [f"p{index}" for index in range(MAX_OFFERS)]
    assert parse_offers([encode_offers(names)]) == tuple(names)
    assert parse_offers([encode_offers([*names, "one-more"])]) == ()


def test_a_field_longer_than_is_read_is_none() -> None:
    assert parse_offers([encode_offers(["x" * offered_protocols.MAX_FIELD_BYTES])]) == ()


@given(st.lists(VISIBLE, min_size=1, max_size=MAX_OFFERS))
def test_what_is_offered_arrives(protocols: list[str]) -> None:
    assert parse_offers([encode_offers(protocols)]) == tuple(protocols)


@given(VISIBLE)
def test_what_is_chosen_arrives(protocol: str) -> None:
    assert parse_choice(encode_choice(protocol)) == protocol


def test_two_are_no_choice() -> None:
    assert parse_choice('"a", "b"') is None


def test_a_name_with_other_characters_cannot_be_offered() -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        encode_choice("a\nb")


@given(st.lists(st.text(max_size=60) | st.from_regex(r'["a;=, \\?:]{0,40}'), max_size=3))
def test_any_text_is_read_or_passed_over(values: list[str]) -> None:
    assert len(parse_offers(values)) <= MAX_OFFERS
