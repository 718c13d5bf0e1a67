"""Casing and punctuation by rules."""

from __future__ import annotations

import pytest

from engines.interface import TextOptions, Word
from engines.text.presentation import Presenter
from engines.text.punctuation import COMMA_SAMPLES, SENTENCE_END_SAMPLES

pytestmark = pytest.mark.unit


def written(said: str) -> str:
    """Say words; a slash is a pause for a comma, two are one for the end of a sentence."""
    words, at = [], 0
    for text in said.split():
        if text in ("/", "//"):
            at += COMMA_SAMPLES if text == "/" else SENTENCE_END_SAMPLES
            continue
        words.append(Word(text, at, at + 4_000, 1.0))
        at += 4_000
    return Presenter(TextOptions(punctuation=True), "en").final(tuple(words)).text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("hello", "Hello."),
        ("i think i'm late", "I think I'm late."),
        ("see you on monday in june", "See you on Monday in June."),
        ("you may march", "You may march."),
        ("what is the time", "What is the time?"),
        ("can you help", "Can you help?"),
        ("will power helps", "Will power helps."),
        ("yes / please", "Yes, please."),
        ("hello // what is this // a test", "Hello. What is this? A test."),
        ("Hello, there // friend", "Hello, there friend"),
        ("go to Paris", "Go to Paris"),
    ],
)
def test_rules(said: str, expected: str) -> None:
    assert written(said) == expected
