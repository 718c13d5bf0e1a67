"""The search finds what a sum over every way to lay pieces over rows finds, and what it calls stable stays."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.interface import Keyword
from engines.recognition.beam import BeamLimits, BeamPath
from engines.recognition.decoding import GreedyPath
from engines.recognition.keywords import KeywordGraph, PieceIndex
from engines.recognition.words import Spelling, joined

pytestmark = pytest.mark.unit

TOKENS = ("\u2581a", "b", "\u2581", "<blk>")
A, B, SPACE, BLANK = range(4)
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
EXHAUSTIVE = BeamLimits(width=10_000, pieces_per_row=100, piece_floor=-math.inf, max_behind=math.inf)


@st.composite
def rows_strategy(draw: st.DrawFn, *, max_rows: int = 5) -> np.ndarray:
    count = draw(st.integers(1, max_rows))
    scores = draw(st.lists(st.floats(-6, 6), min_size=count * len(TOKENS), max_size=count * len(TOKENS)))
    weights = np.exp(np.array(scores).reshape(count, len(TOKENS)))
    return np.log(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def feed(path: BeamPath | GreedyPath, rows: np.ndarray, *, group: int = 4) -> None:
    for first in range(0, len(rows), group):
        given_rows = rows[first : first + group]
        path.read(given_rows, given_rows.argmax(axis=-1).tolist())


def pieces_of(path: BeamPath | GreedyPath) -> tuple[int, ...]:
    return tuple(piece.token for piece in path.pieces)


def every_sum(rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """Sum the probabilities of all ways to lay pieces over rows, by what they come to."""
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for way in product(range(len(TOKENS)), repeat=len(rows)):
        pieces = tuple(token for token, _ in groupby(way) if token != BLANK)
        sums[pieces] += math.exp(sum(float(row[token]) for row, token in zip(rows, way, strict=True)))
    return sums


def graph(*keywords: tuple[str, int]) -> KeywordGraph:
    return KeywordGraph([Keyword(*keyword) for keyword in keywords], PieceIndex(SPELLING), SPELLING)


@settings(max_examples=60, deadline=None)
@given(rows_strategy())
def test_a_search_without_limits_sums_every_way(rows: np.ndarray) -> None:
    path = BeamPath(SPELLING, limits=EXHAUSTIVE)
    feed(path, rows, group=100)
    sums = every_sum(rows)
    for pieces, total in sums.items():
        assert math.exp(path.log_probability(pieces)) == pytest.approx(total, rel=1e-6)
    assert sums[pieces_of(path)] == pytest.approx(max(sums.values()), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(rows_strategy(), st.lists(st.tuples(st.sampled_from(["a", "ab", "a ab", "abb a"]), st.integers(-5_000, 5_000))))
def test_keywords_add_their_boost_to_what_they_complete(rows: np.ndarray, keywords: list[tuple[str, int]]) -> None:
    path = BeamPath(SPELLING, graph(*keywords), limits=EXHAUSTIVE)
    feed(path, rows, group=100)
    fewest = {"a": 1, "ab": 2, "a ab": 3, "abb a": 4}

    def rank(pieces: tuple[int, ...], total: float) -> float:
        spelled = b"".join(SPELLING.pieces[token] for token in pieces).decode()
        text = " " + " ".join(spelled.split()) + " "
        found = {
            phrase: sum(text.startswith(f" {phrase} ", at) for at in range(len(text))) * fewest[phrase]
            for phrase, _ in keywords
        }
        return math.log(total) + sum(found[phrase] * boost / 1_000 for phrase, boost in keywords)

    ranks = {pieces: rank(pieces, total) for pieces, total in every_sum(rows).items()}
    assert ranks[pieces_of(path)] == pytest.approx(max(ranks.values()), abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(rows_strategy(max_rows=20), st.integers(1, 7), st.booleans())
def test_a_path_does_not_depend_on_how_its_rows_are_grouped(rows: np.ndarray, group: int, has_keywords: bool) -> None:
    keywords = graph(("ab", 2_000)) if has_keywords else None
    grouped, at_once = BeamPath(SPELLING, keywords), BeamPath(SPELLING, keywords)
    feed(grouped, rows, group=group)
    feed(at_once, rows, group=100)
    assert list(grouped.pieces) == list(at_once.pieces)
    assert list(grouped.words) == list(at_once.words)
    assert grouped.rows == at_once.rows == rows.argmax(axis=-1).tolist()


@settings(max_examples=150, deadline=None)
@given(rows_strategy(max_rows=30), st.integers(1, 5), st.integers(0, 30), st.booleans())
def test_stable_words_stay_with_their_places_whatever_follows(
    rows: np.ndarray, group: int, before_row: int, has_keywords: bool
) -> None:
    path = BeamPath(SPELLING, graph(("ab", 2_000)) if has_keywords else None)
    stable: list[object] = []
    for first in range(0, len(rows), group):
        feed(path, rows[first : first + group])
        count = path.stable_words(before_row=before_row)
        assert count >= len(stable)
        assert list(path.words[: len(stable)]) == stable
        stable = list(path.words[:count])
        assert all(word.end_row <= before_row for word in path.words[:count])
    path.cut_off(max(before_row, 0))
    assert list(path.words[: len(stable)]) == stable


@settings(max_examples=150, deadline=None)
@given(rows_strategy(max_rows=30))
def test_pieces_lie_in_order_on_rows_that_were_read(rows: np.ndarray) -> None:
    path = BeamPath(SPELLING)
    feed(path, rows)
    places = [0]
    for piece in path.pieces:
        assert piece.first_row < piece.end_row
        assert piece.log_probability == rows[piece.first_row, piece.token]
        places += [piece.first_row, piece.end_row]
    assert places == sorted(places)
    assert places[-1] <= len(rows)


def confident(tokens: list[int], probability: float = 0.97) -> np.ndarray:
    rows = np.full((len(tokens), len(TOKENS)), math.log((1 - probability) / (len(TOKENS) - 1)), np.float32)
    rows[np.arange(len(tokens)), tokens] = math.log(probability)
    return rows


@given(st.lists(st.integers(0, BLANK), max_size=40))
def test_confident_rows_give_what_greedy_decoding_gives(tokens: list[int]) -> None:
    beam, greedy = BeamPath(SPELLING), GreedyPath(SPELLING)
    for path in (beam, greedy):
        feed(path, confident(tokens))
    assert list(beam.pieces) == greedy.pieces
    assert joined(beam.words) == joined(greedy.words)
    assert beam.has_words == greedy.has_words


def test_the_most_probable_text_wins_over_the_most_probable_pieces() -> None:
    # Two rows: blank, blank has 0.36; but all ways to say `a` have 0.64.
    rows = np.log(np.array([[0.4, 1e-9, 1e-9, 0.6]] * 2, np.float32))
    beam, greedy = BeamPath(SPELLING), GreedyPath(SPELLING)
    for path in (beam, greedy):
        feed(path, rows)
    assert (pieces_of(greedy), pieces_of(beam)) == ((), (A,))


def test_a_boost_is_taken_back_where_the_phrase_is_not_completed() -> None:
    rows = np.log(np.array([[0.3, 1e-9, 1e-9, 0.7], [1e-9, 0.2, 1e-9, 0.8]], np.float32))
    path = BeamPath(SPELLING, graph(("abb", 2_000)))
    feed(path, rows)
    assert pieces_of(path) == ()
    path = BeamPath(SPELLING, graph(("ab", 2_000)))
    feed(path, rows)
    assert pieces_of(path) == (A, B)


def test_a_phrase_made_unlikely_loses_to_its_like() -> None:
    rows = np.log(np.array([[0.97, 0.01, 0.01, 0.01], [0.01, 0.6, 0.01, 0.38]], np.float32))
    assert pieces_of_after(rows) == (A, B)
    assert pieces_of_after(rows, ("ab", -2_000)) == (A,)


def pieces_of_after(rows: np.ndarray, *keywords: tuple[str, int]) -> tuple[int, ...]:
    path = BeamPath(SPELLING, graph(*keywords))
    feed(path, rows)
    return pieces_of(path)


def test_nothing_is_read_into_no_rows() -> None:
    path = BeamPath(SPELLING)
    assert (list(path.pieces), list(path.words), path.has_words) == ([], [], False)
    assert path.stable_words(before_row=1_000) == 0
