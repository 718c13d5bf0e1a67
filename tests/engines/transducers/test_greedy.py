"""Greedy search takes the best piece of each row, and reads on only where a piece was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.transducers.greedy import greedy_search

if TYPE_CHECKING:
    from engines.contract import FloatArray, IndexArray

pytestmark = pytest.mark.unit

UNKNOWN, PIECES = 2, 6


class Told:
    """Networks whose joiner says what the encoder's row says, and whose decoder gives back the last piece."""

    def __init__(self) -> None:
        self.decoded: list[list[list[int]]] = []

    def join(self, encoder_out: FloatArray, decoder_out: FloatArray) -> FloatArray:
        return encoder_out + 0 * decoder_out[:, :1]

    def decode(self, contexts: IndexArray) -> FloatArray:
        self.decoded.append(contexts.tolist())
        return contexts[:, -1:].astype(np.float32).repeat(PIECES, axis=1)


def rows_for(tokens: list[list[int]]) -> FloatArray:
    return 5 * np.eye(PIECES, dtype=np.float32)[np.array(tokens)]


def search(tokens: list[list[int]]) -> tuple[Any, Told, IndexArray, FloatArray]:
    told: Any = Told()
    contexts = np.tile(np.array([-1, 0]), (len(tokens), 1))
    decoder_out = np.zeros((len(tokens), PIECES), np.float32)
    emissions = greedy_search(told, rows_for(tokens), contexts, decoder_out, unknown_id=UNKNOWN)
    return emissions, told, contexts, decoder_out


def test_each_row_gives_at_most_one_piece_and_the_unknown_one_counts_as_none() -> None:
    emissions, _, contexts, _ = search([[0, 3, 3, UNKNOWN], [5, 0, 1, 4]])
    assert emissions.tokens.tolist() == [[0, 3, 3, 0], [5, 0, 1, 4]]
    assert contexts.tolist() == [[3, 3], [1, 4]]


def test_the_decoder_reads_only_for_streams_that_said_something() -> None:
    _, told, _, decoder_out = search([[0, 3], [0, 0], [0, 5]])
    assert told.decoded == [[[0, 3], [0, 5]]]
    assert decoder_out[:, 0].tolist() == [3, 0, 5]


def test_a_pieces_log_probability_is_the_softmax_over_all() -> None:
    emissions, *_ = search([[0, 4]])
    expected = 5 - np.log(np.exp(5) + PIECES - 1)
    assert emissions.log_probabilities[0].tolist() == pytest.approx([0.0, expected])


@given(st.lists(st.lists(st.integers(0, PIECES - 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_streams_do_not_hear_of_each_other(tokens: list[list[int]]) -> None:
    together, _, contexts, _ = search(tokens)
    for number, alone in enumerate(tokens):
        emissions, _, context, _ = search([alone])
        assert np.array_equal(emissions.tokens[0], together.tokens[number])
        assert np.array_equal(emissions.log_probabilities[0], together.log_probabilities[number])
        assert np.array_equal(context[0], contexts[number])
