"""What a client wishes of recognition: bounds, names, and mistakes told by their place and never by their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import Decoding, Keyword, ProfanityHandling, RedactionKind, TextOptions
from gateway.wire.messages import KeywordSpec, TextSpec
from gateway.wire.recognition_options import KeywordLimits, read_decoding, read_keywords, read_text
from tests.harness.wire_messages import KEYWORDS, TEXT_SPECS

pytestmark = pytest.mark.unit

LIMITS = KeywordLimits(max_keywords=30, max_phrase_chars=10, max_total_chars=60, max_boost_permille=5_000)
CANARY = "canary"


def keywords_of(*given: KeywordSpec, limits: KeywordLimits = LIMITS) -> tuple[tuple[Keyword, ...], list[str]]:
    mistakes: list[str] = []
    return read_keywords(given, limits, mistakes), mistakes


@pytest.mark.parametrize("decoding", list(Decoding))
def test_every_decoding_can_be_asked_for(decoding: Decoding) -> None:
    mistakes: list[str] = []
    assert read_decoding(decoding.value, mistakes) is decoding
    assert mistakes == []


@pytest.mark.parametrize("name", ["", "Beam", "viterbi", CANARY])
def test_a_decoding_that_does_not_exist_names_those_that_do(name: str) -> None:
    mistakes: list[str] = []
    read_decoding(name, mistakes)
    assert mistakes == ["decoding must be one of greedy, beam"]


def test_every_handling_of_text_can_be_asked_for() -> None:
    mistakes: list[str] = []
    for handling in ProfanityHandling:
        assert read_text(TextSpec(profanity=handling.value), mistakes) == TextOptions(profanity=handling)
    everything = tuple(kind.value for kind in RedactionKind)
    assert read_text(TextSpec(redact=everything), mistakes) == TextOptions(redact=tuple(RedactionKind))
    assert mistakes == []


def test_what_is_redacted_is_a_set() -> None:
    mistakes: list[str] = []
    assert read_text(TextSpec(redact=("iban", "email", "iban")), mistakes) == read_text(
        TextSpec(redact=("email", "iban")), mistakes
    )
    assert mistakes == []


def test_every_mistake_in_text_is_told_once() -> None:
    mistakes: list[str] = []
    read_text(TextSpec(profanity=CANARY, redact=(CANARY, "email", "")), mistakes)
    assert mistakes == [
        "text.profanity must be one of keep, mask, remove",
        "text.redact may hold card_number, phone_number, email, iban, national_id",
    ]


def test_spaces_around_words_are_not_part_of_a_phrase() -> None:
    assert keywords_of(KeywordSpec("  acme   co ", 7)) == ((Keyword("acme co", 7),), [])


@pytest.mark.parametrize("phrase", ["x" * 10, "é" * 10, " " * 40 + "x"])
def test_a_phrase_may_have_so_many_characters(phrase: str) -> None:
    assert keywords_of(KeywordSpec(phrase))[1] == []


@pytest.mark.parametrize("phrase", ["", "   ", "x" * 11, "a\tb", "a\x00", "\u202e", "\ud800"])
def test_a_phrase_that_cannot_be_one_is_told_by_its_place(phrase: str) -> None:
    _, mistakes = keywords_of(KeywordSpec("good"), KeywordSpec(phrase))
    assert mistakes == ["keywords[1].phrase must be 1 to 10 printable characters"]


@pytest.mark.parametrize("boost", [-5_000, 0, 5_000])
def test_a_boost_may_lie_on_its_bounds(boost: int) -> None:
    assert keywords_of(KeywordSpec("a", boost)) == ((Keyword("a", boost),), [])


@pytest.mark.parametrize("boost", [-5_001, 5_001, 2**31 - 1])
def test_a_boost_beyond_its_bounds_is_told_by_its_place(boost: int) -> None:
    assert keywords_of(KeywordSpec("a", boost))[1] == ["keywords[0].boost_permille must be -5000 to 5000"]


def test_a_phrase_given_twice_is_a_mistake() -> None:
    _, mistakes = keywords_of(KeywordSpec("a b", 1), KeywordSpec("c"), KeywordSpec(" a  b", 2))
    assert mistakes == ["keywords[2].phrase came before: give each phrase once"]


def test_more_phrases_than_may_be_are_not_looked_at() -> None:
    _, mistakes = keywords_of(*[KeywordSpec("")] * 31)
    assert mistakes == ["keywords may hold 30 phrases, not 31"]


def test_all_phrases_together_are_bounded() -> None:
    phrases = [KeywordSpec(f"phrase {number:03}") for number in range(6)]
    assert keywords_of(*phrases)[1] == []
    assert keywords_of(*phrases, KeywordSpec("x"))[1] == ["keywords may hold 60 characters together, not 61"]


def test_a_long_list_of_mistakes_is_counted_at_its_end() -> None:
    _, mistakes = keywords_of(*[KeywordSpec(str(number), 9_999) for number in range(30)])
    assert mistakes[0].startswith("keywords[0].boost_permille, keywords[1]")
    assert mistakes[0].endswith("keywords[19].boost_permille and 10 more must be -5000 to 5000")


def test_an_operator_may_allow_no_keywords_at_all() -> None:
    none = KeywordLimits(max_keywords=0, max_phrase_chars=1, max_total_chars=1, max_boost_permille=0)
    assert keywords_of(limits=none) == ((), [])
    assert keywords_of(KeywordSpec("a"), limits=none)[1] == ["keywords may hold 0 phrases, not 1"]


@given(st.lists(KEYWORDS | st.just(KeywordSpec(CANARY, 9_999_999)), max_size=40), TEXT_SPECS, st.text(max_size=9))
def test_whatever_is_wished_is_within_the_limits_or_named(
    keywords: list[KeywordSpec], text: TextSpec, decoding: str
) -> None:
    mistakes: list[str] = []
    read_decoding(decoding, mistakes)
    read_text(text, mistakes)
    before = len(mistakes)
    read = read_keywords(keywords, LIMITS, mistakes)
    assert CANARY not in " ".join(mistakes)
    if len(mistakes) > before:
        return
    assert len(read) == len(keywords) <= 30
    assert len({keyword.phrase for keyword in read}) == len(read)
    assert all(0 < len(keyword.phrase) <= 10 and abs(keyword.boost_permille) <= 5_000 for keyword in read)
    assert sum(len(keyword.phrase) for keyword in read) <= 60
