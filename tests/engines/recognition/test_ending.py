"""An utterance that ends of itself is cut where the next one loses least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.recognition.ending import (
    PRE_ROLL_SAMPLES,
    SEARCH_SAMPLES,
    cut_between_words,
    cut_in_silence,
    first_searched_row,
)
from engines.recognition.words import Spelling

pytestmark = pytest.mark.unit

TURN, ON, ING, BLANK = range(4)
ROW = 8 * 160
SPELLING = Spelling(
    ModelContract(
        name="m",
        version="0",
        language="en",
        window_frames=39,
        shift_frames=32,
        subsampling=8,
        feature_dim=80,
        vocab_size=3,
        blank_id=BLANK,
        cache_channel_shape=(1, 1, 1),
        cache_time_shape=(1, 1, 1),
        tokens=("\u2581turn", "\u2581on", "ing", "<blk>"),
    )
)


def audio(rows: int, *, quiet: tuple[int, ...] = (), loudness: float = 0.3) -> np.ndarray:
    """Give the samples of so many rows: loud, but for the quiet ones."""
    samples = np.full(rows * ROW, loudness, np.float32)
    for row in quiet:
        samples[row * ROW : (row + 1) * ROW] = 0
    return samples


def cut(rows: list[int], samples: np.ndarray) -> int:
    return cut_between_words(rows, SPELLING, samples[first_searched_row(len(rows), row_samples=ROW) * ROW :])


def test_half_of_a_short_silence_is_left_to_the_next_utterance() -> None:
    assert cut_in_silence(heard_samples=50_000, trailing_silence_samples=4_000) == 48_000


def test_no_more_than_the_pre_roll_is_left() -> None:
    assert cut_in_silence(heard_samples=50_000, trailing_silence_samples=30_000) == 50_000 - PRE_ROLL_SAMPLES


@given(st.integers(1, 2_000))
def test_the_search_goes_back_five_seconds_but_never_into_the_first_half(rows: int) -> None:
    first = first_searched_row(rows, row_samples=ROW)
    assert rows * ROW - SEARCH_SAMPLES - ROW < first * ROW or first * ROW > rows * ROW // 2 - ROW
    assert (rows - first) * ROW <= SEARCH_SAMPLES + ROW
    assert first >= rows // 2 - 1


def test_a_gap_between_words_is_better_than_a_quieter_one_inside_a_word() -> None:
    rows = [TURN] * 6 + [TURN, BLANK, BLANK, ING, BLANK, ON]
    assert cut(rows, audio(12, quiet=(7, 8))) // ROW == 10


def test_the_quietest_gap_is_best() -> None:
    rows = [TURN] * 6 + [BLANK, BLANK, ON, BLANK, TURN, ON]
    assert cut(rows, audio(12, quiet=(9,))) // ROW == 9


def test_of_equally_quiet_gaps_the_wider_is_cut_in_its_middle() -> None:
    rows = [TURN] * 6 + [BLANK, ON, BLANK, BLANK, BLANK, ON]
    assert abs(cut(rows, audio(12, loudness=0.0)) - 9.5 * ROW) <= 80


def test_a_long_gap_at_the_end_counts_as_a_pause() -> None:
    rows = [TURN] * 6 + [TURN, BLANK, ON, BLANK, BLANK, BLANK]
    assert cut(rows, audio(12, quiet=(9, 10, 11))) // ROW in (9, 10, 11)


def test_without_any_gap_the_last_piece_is_left_to_the_next_utterance() -> None:
    assert cut([TURN] * 8 + [ON, TURN, TURN, TURN], audio(12)) == 9 * ROW


def test_one_endless_piece_is_cut_at_its_end() -> None:
    assert cut([TURN] * 12, audio(12)) == 12 * ROW


@given(st.lists(st.integers(0, BLANK), min_size=1, max_size=150), st.integers(0, 5))
def test_a_cut_lies_in_the_searched_part_and_behind_the_start(rows: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, len(rows) * ROW).astype(np.float32)
    at = cut(rows, samples)
    assert max(1, first_searched_row(len(rows), row_samples=ROW) * ROW) <= at <= len(rows) * ROW


@given(st.lists(st.integers(0, BLANK), min_size=1, max_size=60))
def test_no_piece_is_cut_in_two_when_there_is_a_gap(rows: list[int]) -> None:
    first = first_searched_row(len(rows), row_samples=ROW)
    if BLANK in rows[first:]:
        assert rows[cut(rows, audio(len(rows))) // ROW] == BLANK
