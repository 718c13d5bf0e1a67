"""E-mail addresses in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.text.emails import emails, written_emails
from engines.text.tape import Tape

pytestmark = pytest.mark.unit

WORDS = [
    "john",
    "smith",
    "j",
    "u",
    "k",
    "at",
    "dot",
    "dash",
    "underscore",
    "example",
    "com",
    "the",
    "is",
    "five",
    "a",
    "x@y.com",
]


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("write to john dot smith at example dot com today", "john dot smith at example dot com"),
        ("mail j smith seven at g mail dot com", "j smith seven at g mail dot com"),
        ("mail john at example dot co dot u k now", "john at example dot co dot u k"),
        ("mail john at my dash firm dot org", ""),
        ("john at mary at example dot com", "mary at example dot com"),
        ("mail info at red hat dot com please", "info at red hat dot com"),
        ("look at example dot com", ""),
        ("meet me at the red dot on the map", ""),
        ("meet me at noon", ""),
        ("my mail is john@example.com thanks", "john@example.com"),
    ],
)
def test_what_is_an_address(said: str, address: str) -> None:
    words = said.split()
    spans = emails(Tape(words), is_over=True).spans
    assert [" ".join(words[first:end]) for first, end in spans] == ([address] if address else [])


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.integers(0, 12))
def test_what_is_settled_stays(said: list[str], count: int) -> None:
    spans = emails(Tape(said), is_over=True).spans
    early = emails(Tape(said[:count]), is_over=False)
    assert early.spans == [span for span in spans if span[0] < early.settled]
    assert all(end <= early.settled for _, end in early.spans)


def test_without_words_an_at_sign_tells() -> None:
    assert written_emails(["a", "b@c.de"]) == ([(1, 2)], 2)
