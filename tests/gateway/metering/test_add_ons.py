"""What a session uses beside plain recognition is named for its bill."""

from __future__ import annotations

import pytest

from engines.interface import Decoding, Keyword, ProfanityHandling, RedactionKind, StreamOptions, TextOptions
from gateway.metering.add_ons import add_ons_of

pytestmark = pytest.mark.unit


def test_plain_recognition_has_no_add_ons() -> None:
    assert add_ons_of(StreamOptions()) == ()


def test_everything_that_costs_extra_is_named_once_in_alphabetical_order() -> None:
    options = StreamOptions(
        decoding=Decoding.beam,
        keywords=(Keyword("patchbay", 2_000), Keyword("gateway", 2_000)),
        text=TextOptions(
            numerals=True,
            punctuation=True,
            profanity=ProfanityHandling.mask,
            redact=(RedactionKind.email, RedactionKind.card_number),
        ),
    )
    assert add_ons_of(options) == ("beam", "keywords", "numerals", "profanity", "punctuation", "redaction")
