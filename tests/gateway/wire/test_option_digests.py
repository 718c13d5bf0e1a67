"""A session that is resumed asks for the same, and hears which option differs."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.wire.messages import AudioSpec, Endpointing, KeywordSpec, Start, TextSpec
from gateway.wire.option_digests import different_options, option_digests
from tests.harness.wire_messages import STARTS

pytestmark = pytest.mark.unit


def test_what_is_left_out_has_no_digest() -> None:
    assert option_digests(Start()) == {}
    assert option_digests(Start(token="t", audio=AudioSpec("opus"))) == {}


@given(STARTS)
def test_the_same_options_never_differ(start: Start) -> None:
    assert different_options(option_digests(start), option_digests(start)) == []


def test_each_option_that_differs_is_named() -> None:
    before = Start(language="en", keywords=(KeywordSpec("acme"),), text=TextSpec(numerals=True))
    after = Start(language="en", keywords=(KeywordSpec("acme", 1),), endpointing=Endpointing(300))
    assert different_options(option_digests(before), option_digests(after)) == ["endpointing", "keywords", "text"]
