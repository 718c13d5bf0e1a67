"""What nobody sees is found, and written out where it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.visible_text import hidden_in_file, hidden_in_line, visible

pytestmark = pytest.mark.unit

BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@pytest.mark.parametrize(
    "text", ["Müller & Söhne", "日本語", "العربية", "नमस्ते\u200d", "می\u200cخواهم", "a\tb\r\nc", "👩\u200d⚕"]
)
def test_what_people_write_is_visible(text: str) -> None:
    assert not hidden_in_file(text)
    assert visible(text) == text


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "\x07", "\x9b31m", "a\u202eb", "\u2066", "\u200f", "\ufeff", "\U000e0041", "\u2028"]
)
def test_what_nobody_sees_is_found(text: str) -> None:
    assert hidden_in_file(text)
    assert hidden_in_line(text)
    assert not hidden_in_file(visible(text))


def test_a_line_has_no_line_ends() -> None:
    assert hidden_in_line("a\nb") == "\n"
    assert hidden_in_file("a\nb") == ""


def test_it_is_written_by_its_number() -> None:
    assert visible("a\u202eb\x1b") == "a<U+202E>b<U+001B>"


@given(st.characters())
def test_every_control_and_every_mark_of_direction_is_hidden(character: str) -> None:
    is_moving = unicodedata.category(character) == "Cc" or unicodedata.bidirectional(character) in BIDI
    if is_moving:
        assert hidden_in_line(character)
