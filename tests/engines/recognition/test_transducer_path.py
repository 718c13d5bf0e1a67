"""A transducer's pieces stand for themselves, at the rows that emitted them."""

from __future__ import annotations

from math import exp, log
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import Decoding, Keyword, StreamOptions
from engines.recognition.transducer_path import TransducerPath, TransducerPaths
from engines.recognition.words import Spelling, joined

pytestmark = pytest.mark.unit

TOKENS = ("<blk>", "\u2581one", "\u2581two", "ty")
CONTRACT: Any = SimpleNamespace(blank_id=0, subsampling=4, tokens=TOKENS)
SPELLING = Spelling(CONTRACT)
ROW_SAMPLES = 4 * 160


def path_of(*steps: list[int], confidence: float = 0.5) -> TransducerPath:
    path = TransducerPath(SPELLING)
    for tokens in steps:
        path.read(np.full(len(tokens), log(confidence), np.float32), tokens)
    return path


def test_a_repeated_piece_was_said_twice() -> None:
    path = path_of([0, 1, 1, 0], [1, 0, 0, 0])
    assert joined(path.words) == "one one one"
    assert [piece.first_row for piece in path.pieces] == [1, 2, 4]


def test_words_lie_where_their_pieces_were_emitted() -> None:
    first, second = SPELLING.placed(path_of([1, 0, 3, 0], [0, 2]).words, start_sample=1_000, end_sample=10_000)
    assert (first.text, first.start_sample, first.end_sample) == ("onety", 1_000, 1_000 + 3 * ROW_SAMPLES)
    assert (second.text, second.start_sample, second.end_sample) == (
        "two",
        1_000 + 5 * ROW_SAMPLES,
        1_000 + 6 * ROW_SAMPLES,
    )
    assert first.confidence == pytest.approx(0.5)


def test_confidence_is_the_geometric_mean_of_the_pieces() -> None:
    path = TransducerPath(SPELLING)
    path.read(np.log(np.array([0.9, 1.0, 0.4], np.float32)), [1, 0, 3])
    word = path.words[-1]
    assert exp(word.log_probability / word.pieces) == pytest.approx((0.9 * 0.4) ** 0.5)


def test_blanks_alone_say_nothing() -> None:
    path = path_of([0, 0], [0, 0])
    assert not path.has_words
    assert path.rows == [0, 0, 0, 0]


def test_what_is_cut_off_is_heard_again() -> None:
    path = path_of([1, 0, 2, 3])
    path.cut_off(2)
    assert joined(path.words) == "one"
    assert joined(path.words[: path.stable_words(before_row=4)]) == ""


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), max_size=8))
def test_how_rows_were_cut_into_steps_does_not_matter(steps: list[list[int]]) -> None:
    whole = [token for tokens in steps for token in tokens]
    assert path_of(*steps).pieces == path_of(whole).pieces
    assert len(path_of(*steps).pieces) == sum(token != 0 for token in whole)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=8))
def test_stable_words_never_change(steps: list[list[int]]) -> None:
    path, stable = TransducerPath(SPELLING), ""
    for tokens in steps:
        path.read(np.zeros(len(tokens), np.float32), tokens)
        now = joined(path.words[: path.stable_words(before_row=len(path.rows))])
        assert now.startswith(stable)
        stable = now
    assert joined(path.words).startswith(stable)


def test_what_a_transducer_cannot_do_is_told() -> None:
    paths = TransducerPaths(SPELLING)
    assert paths.mistakes(StreamOptions()) == []
    asked = StreamOptions(decoding=Decoding.beam, keywords=(Keyword("one"),))
    assert len(paths.mistakes(asked)) == 2
