"""Two letters that are a country, and those that only look so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.countries import COUNTRIES, country_of

pytestmark = pytest.mark.unit


def test_there_are_as_many_countries_as_the_standard_has_and_kosovo() -> None:
    assert len(COUNTRIES) == 249 + 1


@pytest.mark.parametrize(("text", "country"), [("DE", "DE"), ("de", "DE"), ("xk", "XK")])
def test_a_country_is_known_in_any_case(text: str, country: str) -> None:
    assert country_of(text) == country


@pytest.mark.parametrize("text", ["XX", "ZZ", "T1", "A1", "EU", "AP", "", "D", "DEU", "ß1", " DE", None, 7, b"DE"])
def test_what_is_no_country_is_unknown(text: object) -> None:
    assert country_of(text) == ""


@given(st.text(max_size=3))
def test_any_text_is_a_country_or_nothing(text: str) -> None:
    assert country_of(text) in COUNTRIES | {""}
