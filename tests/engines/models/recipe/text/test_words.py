"""The word classes hold clean words, each once."""

from __future__ import annotations

import pytest

from engines.models.recipe.text.words import ORDINALS, TENS, UNITS, WORD_CLASSES, all_words, listed

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", WORD_CLASSES)
def test_a_phrase_is_in_its_class_once_and_made_of_letters(name: str) -> None:
    phrases = WORD_CLASSES[name]

    assert len(set(phrases)) == len(phrases)
    assert all(set(phrase) <= set("abcdefghijklmnopqrstuvwxyz' ") for phrase in phrases)


def test_number_words_stand_at_their_value() -> None:
    assert (UNITS[0], UNITS[13], UNITS[19]) == ("zero", "thirteen", "nineteen")
    assert (TENS[2], TENS[9]) == ("twenty", "ninety")
    assert (ORDINALS[1], ORDINALS[20]) == ("first", "twentieth")


def test_random_words_never_hold_the_lone_article_or_a_phrase() -> None:
    words = all_words()

    assert "a" not in words
    assert "" not in words
    assert not any(" " in word for word in words)
    assert list(words) == sorted(set(words))


def test_listed_words_are_split_at_spaces() -> None:
    assert listed("one two  three") == ("one", "two", "three")
