"""A keyword on the command line: a phrase, and behind the last colon its boost."""

from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.keyword_option import parse_keyword
from gateway.wire.messages import KeywordSpec

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("acme", KeywordSpec("acme", 2_000)),
        ("acme cloud:3000", KeywordSpec("acme cloud", 3_000)),
        ("um:-3000", KeywordSpec("um", -3_000)),
        ("um:+5", KeywordSpec("um", 5)),
        ("um:0", KeywordSpec("um", 0)),
        ("ratio: golden", KeywordSpec("ratio: golden", 2_000)),
        ("acme:", KeywordSpec("acme:", 2_000)),
        ("acme:1.5", KeywordSpec("acme:1.5", 2_000)),
        ("acme:٣", KeywordSpec("acme:٣", 2_000)),
        ("at 10:30:2000", KeywordSpec("at 10:30", 2_000)),
    ],
)
def test_a_boost_is_a_whole_number_behind_the_last_colon(text: str, keyword: KeywordSpec) -> None:
    assert parse_keyword(text) == keyword


@pytest.mark.parametrize("text", ["", " ", ":5", "  :5", "a\nb", "a\tb:5", "\udcff"])
def test_a_keyword_without_a_phrase_is_a_wrong_command_line(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="PHRASE:BOOST"):
        parse_keyword(text)


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_keyword_that_every_protocol_can_carry_or_a_wrong_command_line(text: str) -> None:
    try:
        keyword = parse_keyword(text)
    except typer.BadParameter:
        return
    assert abs(keyword.boost_permille) < 2**31
    keyword.phrase.encode()
