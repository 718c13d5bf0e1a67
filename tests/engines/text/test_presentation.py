"""What a client reads, in partials and finals: nothing lost, nothing shown that is hidden, what is stable stays."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.interface import ProfanityHandling, RedactionKind, TextOptions, Word
from engines.text.presentation import Presenter
from engines.text.profanity import PROFANE_WORDS

pytestmark = pytest.mark.unit


def spoken(text: str) -> list[str]:
    return text.split()


SPOKEN = spoken(
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty ninety hundred"
    " thousand million oh double triple first second third fifth twentieth january may march of the a and point half"
    " quarter past to at p m o'clock dollars euros pounds cents percent per cent plus dash dot underscore john smith"
    " example com co u k g b i hello is what it card shit fuck morning in thirds please"
)
WRITTEN = ["4111", "1111", "GB29", "NWBK", "Hello,", "World.", "john@example.com", "25", "O'Neill"]
CARD = ["four", *["one"] * 15]
HIDDEN_THINGS = (
    CARD,
    spoken("plus four four two oh seven nine four six oh nine five eight"),
    spoken("four one five five five five oh one two three"),
    spoken("john dot smith at example dot com"),
    spoken("g b two nine n w b k six oh one six one three three one nine two six eight one nine"),
    spoken("four four four five five six six six six"),
    spoken("forty one eleven eleven eleven eleven eleven eleven eleven"),
    ["4111", "1111", "1111", "1111"],
    ["john.smith@example.com"],
)
FILLERS = spoken("hello please thanks is what card my tomorrow she said number")


def words_of(texts: list[str], gaps: list[int] | None = None) -> tuple[Word, ...]:
    """Each word takes 3,200 samples, the pauses before them are `gaps`."""
    words, at = [], 0
    for number, text in enumerate(texts):
        at += gaps[number % len(gaps)] if gaps else 800
        words.append(Word(text, at, at + 3_200, 0.5 + 0.4 / (number + 1)))
        at += 3_200
    return tuple(words)


options = st.builds(
    TextOptions,
    numerals=st.booleans(),
    punctuation=st.booleans(),
    profanity=st.sampled_from(ProfanityHandling),
    redact=st.lists(st.sampled_from(RedactionKind), unique=True).map(tuple),
)
texts = st.lists(st.sampled_from([*SPOKEN, *WRITTEN]), max_size=14)
gaps = st.lists(st.sampled_from([0, 800, 7_000, 12_000]), min_size=17, max_size=17)
spoken_with_secrets = st.lists(
    st.tuples(st.sampled_from(FILLERS), st.sampled_from([[], *HIDDEN_THINGS])), max_size=5
).map(lambda parts: [word for filler, secret in parts for word in (filler, *secret)])


@given(options, st.one_of(texts, spoken_with_secrets), gaps, st.sampled_from(["en", "en-GB", "de"]), st.data())
@settings(max_examples=400, deadline=None)
def test_stable_text_grows_and_is_the_beginning_of_the_final(
    chosen: TextOptions, said: list[str], pauses: list[int], language: str, data: st.DataObject
) -> None:
    words = words_of(said, pauses)
    presenter = Presenter(chosen, language)
    final = presenter.final(words).text
    before = ""
    for stable_words in range(len(words) + 1):
        rest = words[stable_words:]
        guesses = data.draw(st.lists(st.sampled_from(SPOKEN), max_size=2))
        tail = data.draw(st.sampled_from([rest[:1], words_of(guesses) if not rest else rest[:0]]))
        partial = presenter.partial((*words[:stable_words], *tail), stable_words=stable_words)
        stable = partial.text[: partial.stable_chars]
        assert stable.startswith(before)
        assert final.startswith(stable)
        before = stable


@given(options, st.one_of(texts, spoken_with_secrets), gaps)
@settings(max_examples=300, deadline=None)
def test_presented_words_cover_what_was_spoken_in_order(
    chosen: TextOptions, said: list[str], pauses: list[int]
) -> None:
    words = words_of(said, pauses)
    presented = Presenter(chosen, "en").final(words)
    assert presented.text == " ".join(word.text for word in presented.words)
    assert all(" " not in word.text for word in presented.words)
    starts = {word.start_sample: place for place, word in enumerate(words)}
    ends = {word.end_sample: place for place, word in enumerate(words)}
    reached = 0
    for word in presented.words:
        first, last = starts[word.start_sample], ends[word.end_sample]
        lost = words[reached:first]
        assert chosen.profanity is ProfanityHandling.remove or not lost
        assert all(gone.text in PROFANE_WORDS for gone in lost)
        assert word.confidence == min(spoken.confidence for spoken in words[first : last + 1])
        reached = last + 1
    assert all(gone.text in PROFANE_WORDS for gone in words[reached:])


@given(st.one_of(texts, spoken_with_secrets), gaps, st.integers(0, 14))
def test_plain_options_change_nothing(said: list[str], pauses: list[int], stable_words: int) -> None:
    words = words_of(said, pauses)
    presenter = Presenter(TextOptions(), "en")
    assert presenter.is_plain
    assert presenter.final(words) == (" ".join(said), words, ())
    partial = presenter.partial(words, stable_words=stable_words)
    assert partial == (" ".join(said), len(" ".join(said[:stable_words])))


@given(spoken_with_secrets, st.booleans(), st.booleans(), st.integers(0, 2))
@settings(max_examples=300, deadline=None)
def test_no_partial_shows_anything_of_what_the_final_hides(
    said: list[str], numerals: bool, punctuation: bool, unstable: int
) -> None:
    """None of the words of the secrets is among the fillers, so any of them in a partial is a leak."""
    presenter = Presenter(TextOptions(numerals=numerals, punctuation=punctuation, redact=tuple(RedactionKind)), "en")
    words = words_of(said)
    redacted = presenter.final(words).redacted
    secret = {said[place] for span in redacted for place in range(span.first_word, span.end_word)} - set(FILLERS)
    for count in range(len(words) + 1):
        shown = presenter.partial(words[:count], stable_words=max(0, count - unstable)).text.lower()
        assert not secret & set(shown.replace(",", "").replace(".", "").replace("?", "").split())
        assert not any(character.isdecimal() for character in shown)


@pytest.mark.parametrize("secret", HIDDEN_THINGS, ids=" ".join)
@pytest.mark.parametrize("numerals", [False, True])
def test_each_secret_is_hidden_with_and_without_numerals(secret: list[str], numerals: bool) -> None:
    words = words_of(["hello", *secret, "please"])
    presented = Presenter(TextOptions(numerals=numerals, redact=tuple(RedactionKind)), "en").final(words)
    (span,) = presented.redacted
    assert presented.text == f"hello [{span.kind.value}] please"
    assert (span.first_word, span.end_word) == (1, len(secret) + 1)
    assert (span.start_sample, span.end_sample) == (words[1].start_sample, words[-2].end_sample)
    assert presented.words[1].start_sample == span.start_sample
    assert presented.words[1].end_sample == span.end_sample


def test_a_word_that_may_grow_to_a_profane_one_is_not_shown() -> None:
    presenter = Presenter(TextOptions(profanity=ProfanityHandling.mask), "en")
    assert presenter.partial(words_of(["oh", "fuc"]), stable_words=1) == ("oh", 2)
    assert presenter.partial(words_of(["oh", "fuck", "it"]), stable_words=2).text == "oh f*** it"
    assert presenter.partial(words_of(["oh", "fudge"]), stable_words=1).text == "oh fudge"


def test_a_number_that_may_go_on_is_shown_and_not_stable() -> None:
    presenter = Presenter(TextOptions(numerals=True), "en")
    assert presenter.partial(words_of(spoken("i have twenty")), stable_words=3) == ("i have 20", 6)
    assert presenter.partial(words_of(spoken("i have twenty five dollars")), stable_words=5) == ("i have $25", 6)


@given(texts, gaps)
@settings(deadline=None)
def test_what_was_written_once_is_not_written_anew(said: list[str], pauses: list[int]) -> None:
    presenter = Presenter(TextOptions(punctuation=True, profanity=ProfanityHandling.mask), "en")
    once = presenter.final(words_of(said, pauses)).words
    if once and once[0].text[0].isupper():
        assert presenter.final(once).words == once


def test_all_options_together() -> None:
    presenter = Presenter(
        TextOptions(
            numerals=True, punctuation=True, profanity=ProfanityHandling.mask, redact=(RedactionKind.card_number,)
        ),
        "en-US",
    )
    said = ["can", "you", "charge", "twenty", "five", "dollars", "to", *CARD, "on", "monday", "at", "three", "p", "m"]
    presented = presenter.final(words_of(said))
    assert presented.text == "Can you charge $25 to [card_number] on Monday at 3 p.m.?"
    assert math.isclose(presented.words[3].confidence, 0.5 + 0.4 / 6)
