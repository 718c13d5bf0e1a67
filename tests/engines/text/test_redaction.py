"""What must be hidden, and from where on that is open."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.interface import RedactionKind
from engines.text.redaction import Redactor

pytestmark = pytest.mark.unit

ALL = Redactor(RedactionKind, with_words=True)
CARD = ["four", *["one"] * 15]
WORDS = [
    *[
        "four",
        "one",
        "oh",
        "double",
        "twenty",
        "at",
        "dot",
        "com",
        "john",
        "and",
        "g",
        "b",
        "hello",
        "is",
        "plus",
        "dash",
        "please",
    ],
    "4111",
    "GB29",
]


def hidden(said: list[str], redactor: Redactor = ALL) -> str:
    texts = list(said)
    for first, end, kind in reversed(redactor.redact(said, is_over=True).spans):
        texts[first:end] = [f"[{kind.value}]"]
    return " ".join(texts)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("card forty one eleven eleven eleven eleven eleven eleven eleven ok", "card [card_number] ok"),
        ("four triple one double one double one triple one triple one double one", "[card_number]"),
        ("card 4111-1111-1111-1111, ok", "card [card_number] ok"),
        ("four one five dash five five five dash oh one two three and hello", "[phone_number] and hello"),
        ("call 0049 30 901820 ok", "call [phone_number] ok"),
        ("nino a b one two three four five six c bye", "nino [national_id] bye"),
        ("IBAN GB29 NWBK 6016 1331 9268 19 ok", "IBAN [iban] ok"),
        ("pay two hundred and five dollars", "pay two hundred and five dollars"),
        ("room four oh four", "room four oh four"),
    ],
)
def test_what_is_hidden(said: str, expected: str) -> None:
    assert hidden(said.split()) == expected


def test_a_card_and_a_telephone_number_side_by_side_are_both_hidden() -> None:
    said = [*CARD, *["and", "four", "one", "five", "five", "five", "five", "oh", "one", "two", "three"]]
    assert hidden(said) == "[card_number] and [phone_number]"


def test_only_the_kinds_that_were_asked_for_are_hidden() -> None:
    assert hidden(CARD, Redactor([RedactionKind.email], with_words=True)) == " ".join(CARD)


def test_in_other_languages_what_is_written_is_hidden() -> None:
    redactor = Redactor(RedactionKind, with_words=False)
    assert hidden(["karte", "4111", "1111", "1111", "1111", "bitte"], redactor) == "karte [card_number] bitte"
    assert hidden(["an", "max@example.de", "bitte"], redactor) == "an [email] bitte"
    assert hidden(CARD, redactor) == " ".join(CARD)


def test_a_run_at_the_end_is_open() -> None:
    cards = Redactor([RedactionKind.card_number], with_words=True)
    assert cards.redact(["hello", "there", "four"], is_over=False).settled == 2
    assert cards.redact(["hello", "there", "four", "is"], is_over=False).settled == 4
    assert cards.redact(["hello", "there", "four"], is_over=True) == ((), 3)


@given(st.lists(st.one_of(st.sampled_from(WORDS).map(lambda word: [word]), st.just(CARD)), max_size=9), st.data())
@settings(deadline=None)
def test_what_is_settled_stays(parts: list[list[str]], data: st.DataObject) -> None:
    said = [word for part in parts for word in part]
    count = data.draw(st.integers(0, len(said)))
    early = ALL.redact(said[:count], is_over=False)
    final = ALL.redact(said, is_over=True).spans
    assert early.spans == tuple(span for span in final if span.first < early.settled)
    assert all(span.end <= early.settled for span in early.spans)
