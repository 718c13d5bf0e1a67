"""Labels and spoken forms of the sentence source."""

from __future__ import annotations

import re

import pytest

from engines.models.recipe.text.sentences import Sentence, SentenceSource

pytestmark = pytest.mark.unit


def test_the_same_seed_gives_the_same_sentences() -> None:
    first, again, other = SentenceSource(5), SentenceSource(5), SentenceSource(6)
    sentences = [first.next() for _ in range(50)]

    assert sentences == [again.next() for _ in range(50)]
    assert sentences != [other.next() for _ in range(50)]


def test_labels_are_lower_case_words_with_single_spaces() -> None:
    source = SentenceSource(0)
    for _ in range(2_000):
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", source.next().text)


def test_spelled_letters_are_spoken_as_letters() -> None:
    assert Sentence.from_marked("my code is ~a ~b a seven") == Sentence(
        text="my code is a b a seven", spoken="my code is ay B a seven"
    )


def test_the_article_fits_the_noun() -> None:
    source = SentenceSource(0)
    for _ in range(2_000):
        words = source.of("{single_phrase}").text.split()
        if words[0] == "a":
            assert words[1][0] not in "aeiou"


def test_the_domain_has_929_words_and_about_six_per_sentence() -> None:
    source = SentenceSource(1)
    labels = [source.next().text.split() for _ in range(20_000)]

    assert len({word for label in labels for word in label}) == 929
    assert 5.7 < sum(map(len, labels)) / len(labels) < 6.1
