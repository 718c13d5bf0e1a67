"""Profane words: whole ones, in all their forms."""

from __future__ import annotations

import pytest

from engines.text.profanity import PROFANE_WORDS, is_profane, masked, may_become_profane

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ["fuck", "Fucking", "shit,", '"shitty"', "bastard's", "ASSHOLES!"])
def test_profane_words_are_known_in_any_dress(text: str) -> None:
    assert is_profane(text)


@pytest.mark.parametrize(
    "text", ["Scunthorpe", "classic", "assassin", "shiitake", "cocktail", "Dickens", "grass", "hello", "hell"]
)
def test_decent_words_are_left_alone(text: str) -> None:
    assert not is_profane(text)


def test_the_first_letter_and_what_is_no_letter_stay() -> None:
    assert [masked(text) for text in ("shit", "Fucking,", '"ass"')] == ["s***", "F******,", '"a**"']


def test_what_is_masked_is_not_profane_any_more() -> None:
    assert not any(is_profane(masked(word)) for word in PROFANE_WORDS)


def test_every_beginning_of_a_profane_word_may_become_one() -> None:
    assert all(may_become_profane(word[:length]) for word in PROFANE_WORDS for length in range(1, len(word) + 1))
    assert not may_become_profane("hello")
