"""Greedy CTC gives the same text however its rows are grouped, and words with their places."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.interface import Word
from engines.recognition.decoding import GreedyPath
from engines.recognition.words import Piece, Spelling, joined

pytestmark = pytest.mark.unit

TOKENS = ("\u2581turn", "\u2581on", "\u2581", "lamp", "s", " ", "<0xC3>", "<0xA9>", "<unk>", "<blk>")
TURN, ON, SPACE_MARK, LAMP, S, SPACE, BYTE_C3, BYTE_A9, UNKNOWN, BLANK = range(10)
ALL_ROWS = 1_000


def contract(*, subsampling: int = 8) -> ModelContract:
    return ModelContract(
        name="m",
        version="0",
        language="en",
        window_frames=39,
        shift_frames=32,
        subsampling=subsampling,
        feature_dim=80,
        vocab_size=len(TOKENS) - 1,
        blank_id=BLANK,
        cache_channel_shape=(1, 1, 1),
        cache_time_shape=(1, 1, 1),
        tokens=TOKENS,
    )


SPELLING = Spelling(contract())


def rows_of(tokens: list[int], probability: float = 0.9) -> np.ndarray:
    rows = np.full((len(tokens), len(TOKENS)), math.log((1 - probability) / (len(TOKENS) - 1)), np.float32)
    rows[np.arange(len(tokens)), tokens] = math.log(probability)
    return rows


def feed(path: GreedyPath, rows: np.ndarray) -> None:
    path.read(rows, rows.argmax(axis=-1).tolist())


def read(tokens: list[int], *, group: int = 4, probability: float = 0.9) -> GreedyPath:
    path = GreedyPath(SPELLING)
    for start in range(0, len(tokens), group):
        feed(path, rows_of(tokens[start : start + group], probability))
    return path


def text_of(path: GreedyPath) -> str:
    return joined(path.words)


def text_and_stable(path: GreedyPath, *, before_row: int = ALL_ROWS) -> tuple[str, int]:
    stable = path.words[: path.stable_words(before_row=before_row)]
    return text_of(path), len(joined(stable))


def placed_words(path: GreedyPath, *, start_sample: int, end_sample: int) -> tuple[Word, ...]:
    return SPELLING.placed(path.words, start_sample=start_sample, end_sample=end_sample)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([], ""),
        ([BLANK, BLANK], ""),
        ([TURN, TURN, BLANK, ON], "turn on"),
        ([TURN, BLANK, TURN], "turn turn"),
        ([ON, SPACE_MARK, LAMP, S], "on lamps"),
        ([ON, SPACE, LAMP, BLANK, S, BLANK, S], "on lampss"),
        ([LAMP, S, ON], "lamps on"),
        ([SPACE_MARK, SPACE, ON], "on"),
        ([ON, SPACE_MARK], "on"),
        ([LAMP, BYTE_C3, BYTE_A9], "lampé"),
        ([LAMP, BYTE_C3], "lamp\ufffd"),
        ([ON, UNKNOWN], "on<unk>"),
    ],
)
def test_pieces_are_joined_to_text(tokens: list[int], text: str) -> None:
    path = read(tokens)
    assert text_of(path) == text
    assert path.has_words == bool(text)


@given(st.lists(st.integers(0, BLANK), max_size=40), st.integers(1, 7))
def test_a_path_does_not_depend_on_how_its_rows_are_grouped(tokens: list[int], group: int) -> None:
    grouped, at_once = read(tokens, group=group), read(tokens, group=50)
    assert grouped.pieces == at_once.pieces
    assert grouped.words == at_once.words
    assert grouped.rows == tokens


@given(st.lists(st.integers(0, BLANK), max_size=40), st.integers(1, 7))
def test_stable_characters_stay_whatever_follows(tokens: list[int], group: int) -> None:
    path = GreedyPath(SPELLING)
    stable = ""
    for start in range(0, len(tokens), group):
        feed(path, rows_of(tokens[start : start + group]))
        text, stable_chars = text_and_stable(path)
        assert text.startswith(stable)
        assert len(stable) <= stable_chars <= len(text)
        stable = text[:stable_chars]


def test_the_last_word_is_not_stable_and_no_space_behind_a_word_is() -> None:
    assert text_and_stable(read([TURN, ON, SPACE_MARK, LAMP])) == ("turn on lamp", len("turn on"))
    assert text_and_stable(read([TURN])) == ("turn", 0)
    assert text_and_stable(read([TURN, SPACE_MARK])) == ("turn", len("turn"))


def test_words_that_may_yet_be_cut_off_are_not_stable() -> None:
    path = read([TURN, BLANK, ON, BLANK, SPACE_MARK, LAMP])
    assert text_and_stable(path, before_row=3) == ("turn on lamp", len("turn on"))
    assert text_and_stable(path, before_row=2) == ("turn on lamp", len("turn"))
    assert text_and_stable(path, before_row=0) == ("turn on lamp", 0)


def test_pieces_behind_a_cut_are_dropped() -> None:
    path = read([TURN, TURN, ON, BLANK, SPACE_MARK, LAMP])
    path.cut_off(2)
    assert path.pieces == [Piece(TURN, 0, 2, pytest.approx(math.log(0.9)))]
    assert text_of(path) == "turn"


def test_words_lie_where_their_rows_lie() -> None:
    path = read([BLANK, TURN, TURN, BLANK, SPACE_MARK, LAMP, BLANK, S])
    row = 8 * 160
    turn, lamps = placed_words(path, start_sample=1_000, end_sample=1_000 + 100 * row)
    assert (turn.text, turn.start_sample, turn.end_sample) == ("turn", 1_000 + row, 1_000 + 3 * row)
    assert (lamps.text, lamps.start_sample, lamps.end_sample) == ("lamps", 1_000 + 4 * row, 1_000 + 8 * row)


def test_rows_are_as_long_as_the_model_says() -> None:
    spelling = Spelling(contract(subsampling=4))
    path = read([BLANK, TURN])
    assert spelling.placed(path.words, start_sample=0, end_sample=9_999)[0].start_sample == 640


def test_words_do_not_reach_beyond_their_utterance() -> None:
    path = read([TURN, BLANK, ON])
    assert placed_words(path, start_sample=0, end_sample=1_500) == (
        Word("turn", 0, 1_280, pytest.approx(0.9)),
        Word("on", 1_500, 1_500, pytest.approx(0.9)),
    )


def test_confidence_is_the_geometric_mean_of_the_pieces() -> None:
    path = GreedyPath(SPELLING)
    feed(path, rows_of([ON], 0.9))
    feed(path, rows_of([LAMP], 0.4))
    (word,) = placed_words(path, start_sample=0, end_sample=9_999)
    assert word.confidence == pytest.approx(math.sqrt(0.9 * 0.4))


def test_confidence_is_never_above_one() -> None:
    path = GreedyPath(SPELLING)
    feed(path, np.full((1, len(TOKENS)), 1e-6, np.float32))
    assert placed_words(path, start_sample=0, end_sample=9_999)[0].confidence == 1.0
