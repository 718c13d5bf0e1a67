"""Lost and doubled words are found, by position and by text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.lab.transcripts import SpokenWord, WordFaults, compare

pytestmark = pytest.mark.unit


def said(*texts: str) -> list[SpokenWord]:
    return [SpokenWord(text, 500 * number, 500 * number + 500) for number, text in enumerate(texts)]


WORDS = said("nine", "eight", "nine", "seven", "one", "one")


def test_the_same_transcript_has_no_faults() -> None:
    assert compare(WORDS, WORDS) == WordFaults(expected=6)


def test_a_planted_lost_word_is_found_by_position_and_by_text() -> None:
    faults = compare(WORDS, [*WORDS[:2], *WORDS[3:]])
    assert (faults.lost_by_position, faults.lost_by_text) == (1, 1)
    assert (faults.doubled, faults.lost) == (0, 1)


def test_a_planted_doubled_word_is_found_by_position_and_by_text() -> None:
    faults = compare(WORDS, [*WORDS[:2], WORDS[1], *WORDS[2:]])
    assert (faults.doubled_by_position, faults.doubled_by_text) == (1, 1)
    assert (faults.lost, faults.doubled) == (0, 1)


def test_a_word_that_was_said_twice_may_not_hide_a_lost_one() -> None:
    """By its text alone, one of two equal words is gone; by its position it is known which."""
    faults = compare(WORDS, WORDS[:-1])
    assert (faults.lost_by_position, faults.lost_by_text) == (1, 1)


def test_a_word_that_comes_again_a_little_later_is_doubled() -> None:
    late = SpokenWord("eight", 700, 1_200)
    faults = compare(WORDS, [*WORDS[:2], late, *WORDS[2:]])
    assert faults.doubled_by_position >= 1
    assert faults.doubled_by_text == 1


def test_a_word_that_says_something_else_at_its_place_is_changed() -> None:
    faults = compare(WORDS, [*WORDS[:3], SpokenWord("heaven", 1_500, 2_000), *WORDS[4:]])
    assert (faults.changed, faults.lost_by_position, faults.doubled_by_position) == (1, 0, 0)
    assert (faults.lost_by_text, faults.doubled_by_text) == (1, 1)


def test_faults_of_sessions_add_up() -> None:
    both = compare(WORDS, WORDS[1:]) + compare(WORDS, [WORDS[0], *WORDS])
    assert (both.expected, both.lost, both.doubled) == (12, 1, 1)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_whatever_is_taken_out_is_counted_as_lost_and_nothing_as_doubled(texts: list[str], data: st.DataObject) -> None:
    words = said(*texts)
    kept = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    left = [word for word, is_kept in zip(words, kept, strict=True) if is_kept]
    faults = compare(words, left)
    assert faults.lost_by_position == len(words) - len(left)
    assert faults.lost_by_text - faults.doubled_by_text == len(words) - len(left)
    assert faults.doubled_by_position == 0
