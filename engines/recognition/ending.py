"""Where to cut an utterance that ends of itself. Positions are samples from the utterance's start.

Audio from the cut on is heard again by the next utterance, so a cut in silence gives it a quiet start; a model that
begins in the middle of a word loses that word.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engines.interface import SAMPLES_PER_MS
from engines.recognition.audio import FULL_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.recognition.words import Spelling

PRE_ROLL_SAMPLES = 300 * SAMPLES_PER_MS
"""Tightly cut speech loses its first word: 300 ms before it took the embedded model from 19 to 29 of 60 right."""
SEARCH_SAMPLES = 5_000 * SAMPLES_PER_MS
"""How far back an utterance that has become too long is searched for a quiet place."""
_PAUSE_SAMPLES = 240 * SAMPLES_PER_MS
_LISTEN_SAMPLES = 20 * SAMPLES_PER_MS
_LISTEN_STEP_SAMPLES = 5 * SAMPLES_PER_MS


def cut_in_silence(*, heard_samples: int, trailing_silence_samples: int) -> int:
    """Leave half of the silence to the next utterance, at most the pre-roll."""
    return heard_samples - min(PRE_ROLL_SAMPLES, trailing_silence_samples // 2)


def first_searched_row(rows: int, *, row_samples: int) -> int:
    """Say where the search begins in an utterance of so many rows: 5 s back, at most half of it."""
    covered = rows * row_samples
    return (covered - min(SEARCH_SAMPLES, covered // 2)) // row_samples


class _Gap(NamedTuple):
    """A run of blanks; the fields in order make the best gap the smallest.

    `level` is the loudness of its quietest place in steps of 3 dB, so that of two equally quiet gaps the wider wins.
    """

    is_inside_word: bool
    level: int
    minus_rows: int
    minus_begin_row: int
    quietest_sample: int


def cut_between_words(rows: Sequence[int], spelling: Spelling, searched: FloatArray) -> int:
    """Find the quietest place in the searched part of an utterance that goes on without a pause.

    That is in a gap between two words; where there is none, in a gap inside a word; where there is no gap at all, where
    the last piece begins. (Cut there, 339 words gave 9 wrong ones at 3 s, 13 in the middle of the widest gap, 5 uncut.)

    Args:
        rows: the best token of each row, at least one.
        searched: the samples from `first_searched_row` to the end of the last row, float32 in [-1, 1).
    """
    row_samples = spelling.row_samples
    first = first_searched_row(len(rows), row_samples=row_samples)
    gaps: list[_Gap] = []
    last_change = len(rows)
    end = first
    for token, run in groupby(rows[first:]):
        begin, end = end, end + sum(1 for _ in run)
        if token == spelling.blank_id:
            level, offset = _quietest(searched[(begin - first) * row_samples : (end - first) * row_samples])
            is_pause = (end - begin) * row_samples >= _PAUSE_SAMPLES
            is_between = spelling.begins_word(rows[end]) if end < len(rows) else is_pause
            gaps.append(_Gap(not is_between, level, begin - end, -begin, begin * row_samples + offset))
        elif begin > first:
            last_change = begin
    return min(gaps).quietest_sample if gaps else last_change * row_samples


def _quietest(samples: FloatArray) -> tuple[int, int]:
    """Give the level of the quietest 20 ms, in steps of 3 dB, and the middle of all places that are as quiet.

    Whole numbers throughout: another machine must find the same place.
    """
    pcm16 = (samples * np.float32(FULL_SCALE)).astype(np.int64)
    width = min(_LISTEN_SAMPLES, len(pcm16))
    sums = np.concatenate(([0], np.cumsum(pcm16 * pcm16)))
    starts = range(0, len(pcm16) - width + 1, _LISTEN_STEP_SAMPLES)
    levels = [int(sums[start + width] - sums[start]).bit_length() for start in starts]
    level = min(levels)
    as_quiet = [start for start, found in zip(starts, levels, strict=True) if found == level]
    return level, as_quiet[len(as_quiet) // 2] + width // 2
