"""Pieces become words with their places, whatever the pieces are: parts of words, spaces, single bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.recognition.words import GrowingWords, Piece, Spelling, complete_words, joined

pytestmark = pytest.mark.unit

TOKENS = ("\u2581turn", "\u2581on", "\u2581", "lamp", "<0xC3>", "<0xA9>", "<blk>")
TURN, ON, SPACE_MARK, LAMP, BYTE_C3, BYTE_A9, BLANK = range(len(TOKENS))
SPELLING = Spelling(
    ModelContract(
        name="m",
        version="0",
        language="en",
        window_frames=39,
        shift_frames=32,
        subsampling=8,
        feature_dim=80,
        vocab_size=len(TOKENS) - 1,
        blank_id=BLANK,
        cache_channel_shape=(1, 1, 1),
        cache_time_shape=(1, 1, 1),
        tokens=TOKENS,
    )
)


def pieces(*tokens: int) -> list[Piece]:
    return [Piece(token, row, row + 1, -0.1) for row, token in enumerate(tokens)]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ((), ""),
        ((TURN, ON), "turn on"),
        ((ON, SPACE_MARK, LAMP), "on lamp"),
        ((ON, SPACE_MARK), "on"),
        ((LAMP, BYTE_C3, BYTE_A9), "lamp\u00e9"),
        ((LAMP, BYTE_C3), "lamp\ufffd"),
    ],
)
def test_pieces_are_joined_to_words(tokens: tuple[int, ...], text: str) -> None:
    assert joined(SPELLING.words(pieces(*tokens))) == text


def test_a_space_alone_is_a_word_that_says_nothing() -> None:
    words = SPELLING.words(pieces(ON, SPACE_MARK))
    assert [word.utf8 for word in words] == [b"", b"on", b""]
    assert [word.text for word in SPELLING.placed(words, start_sample=0, end_sample=9_999)] == ["on"]


def test_a_piece_begins_a_word_where_nothing_of_it_goes_before_a_space() -> None:
    assert [SPELLING.begins_word(token) for token in (TURN, SPACE_MARK, LAMP)] == [True, True, False]


def test_pieces_are_spelled_with_spaces_where_words_begin() -> None:
    assert list(SPELLING.pieces)[:5] == [b" turn", b" on", b" ", b"lamp", b"\xc3"]


@given(st.lists(st.integers(0, BLANK - 1), max_size=30), st.lists(st.integers(0, 4), max_size=30))
def test_words_that_grow_are_those_of_all_their_pieces(tokens: list[int], unsettled: list[int]) -> None:
    growing = GrowingWords(SPELLING)
    all_pieces = pieces(*tokens)
    settled = 0
    for count, open_pieces in enumerate(unsettled[: len(tokens)], start=1):
        settled = max(settled, count - open_pieces)
        assert growing.of(all_pieces[:count], settled=settled) == SPELLING.words(all_pieces[:count])


@given(st.lists(st.integers(0, BLANK - 1), max_size=30))
def test_text_is_decoded_as_word_by_word(tokens: list[int]) -> None:
    words = SPELLING.words(pieces(*tokens))
    assert joined(words) == " ".join(word.spelled for word in words if word.utf8)


@given(st.lists(st.integers(0, BLANK - 1), max_size=30), st.integers(0, 31))
def test_complete_words_end_before_their_row(tokens: list[int], before_row: int) -> None:
    words = SPELLING.words(pieces(*tokens))
    count = complete_words(words, before_row=before_row)
    assert [word.end_row <= before_row for word in words] == [True] * count + [False] * (len(words) - count)
