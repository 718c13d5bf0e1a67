"""Where to cut an utterance that ends of itself. Positions are samples from the utterance's start.

Audio from the cut on is heard again by the next utterance, so a cut in silence gives it a quiet start; a model that
begins in the middle of a word loses that word.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from engines.interface import SAMPLES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.recognition.decoding import Spelling

PRE_ROLL_SAMPLES = 300 * SAMPLES_PER_MS
"""Tightly cut speech loses its first word: 300 ms before it took the embedded model from 19 to 29 of 60 right."""
SEARCH_SAMPLES = 5_000 * SAMPLES_PER_MS
"""How far back an utterance that has become too long is searched for a quiet place."""
_PAUSE_SAMPLES = 240 * SAMPLES_PER_MS


def cut_in_silence(*, heard_samples: int, trailing_silence_samples: int) -> int:
    """Leave half of the silence to the next utterance, at most the pre-roll."""
    return heard_samples - min(PRE_ROLL_SAMPLES, trailing_silence_samples // 2)


def first_searched_row(rows: int, *, row_samples: int) -> int:
    """Say where the search begins in an utterance of so many rows: 5 s back, at most half of it."""
    covered = rows * row_samples
    return (covered - min(SEARCH_SAMPLES, covered // 2)) // row_samples


def cut_between_words(rows: Sequence[int], spelling: Spelling) -> int:
    """Find the quietest place in the searched part of an utterance that goes on without a pause.

    A gap is a run of blanks. The widest gap between two words is best; then the widest gap inside a word; then, with no
    gap at all, where the last piece begins.

    Args:
        rows: the best token of each row, at least one.
    """
    row_samples = spelling.row_samples
    first = first_searched_row(len(rows), row_samples=row_samples)
    best: tuple[bool, int, int] | None = None
    last_change = len(rows)
    at = first
    for token, run in groupby(rows[first:]):
        begin, at = at, at + sum(1 for _ in run)
        if token == spelling.blank_id:
            is_between_words = (
                spelling.begins_word(rows[at]) if at < len(rows) else (at - begin) * row_samples >= _PAUSE_SAMPLES
            )
            best = max(best or (False, 0, 0), (is_between_words, at - begin, begin))
        elif begin > first:
            last_change = begin
    if best is None:
        return last_change * row_samples
    _, width, begin = best
    return (2 * begin + width) * row_samples // 2
