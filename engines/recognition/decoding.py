"""Greedy CTC: from rows of log-probabilities to pieces, from pieces to words with their places and confidence.

Output rows are numbered from the start of the utterance; row j stands for the samples [j, j + 1) * `row_samples`.
A greedy path is never revised: a row once read adds to the text or leaves it as it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from engines.interface import Word
from engines.recognition.features import SHIFT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.contract import FloatArray, ModelContract

_WORD_MARK = "\u2581"
"""SentencePiece's visible space."""
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")


class Piece(NamedTuple):
    """One emitted piece: rows [first_row, end_row) said so, the first of them with `log_probability`."""

    token: int
    first_row: int
    end_row: int
    log_probability: float


@dataclass(slots=True)
class SpokenWord:
    """A word so far. `spelled` may be empty: a space has begun the word and nothing has followed yet."""

    utf8: bytes
    first_row: int
    end_row: int
    log_probability: float
    pieces: int

    @property
    def spelled(self) -> str:
        """Pieces may be single bytes, so only the whole word is text."""
        return self.utf8.decode("utf-8", "replace")


class Spelling:
    """What the pieces of one model spell; shared by all its streams."""

    def __init__(self, contract: ModelContract) -> None:
        self.blank_id = contract.blank_id
        self.row_samples = contract.subsampling * SHIFT_SAMPLES
        # Split at spaces: the first part goes on with the current word, each further one begins a new word.
        self._parts = [_piece_bytes(piece).split(b" ") for piece in contract.tokens]

    def begins_word(self, token: int) -> bool:
        """Whether nothing of this piece belongs to the word before it."""
        parts = self._parts[token]
        return len(parts) > 1 and not parts[0]

    def words(self, pieces: Iterable[Piece]) -> list[SpokenWord]:
        """Join pieces to words."""
        words: list[SpokenWord] = []
        for piece in pieces:
            for number, part in enumerate(self._parts[piece.token]):
                if number or not words:
                    words.append(SpokenWord(b"", piece.first_row, piece.end_row, 0.0, 0))
                if part:
                    word = words[-1]
                    word.utf8 += part
                    word.end_row = piece.end_row
                    word.log_probability += piece.log_probability
                    word.pieces += 1
        return words


def _piece_bytes(piece: str) -> bytes:
    byte = _BYTE_PIECE.match(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(_WORD_MARK, " ").encode()


class GreedyPath:
    """The best token of every row of one utterance, and the pieces and words they come to."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self.rows: list[int] = []
        """Of every row read the best token, the blank among them."""
        self.pieces: list[Piece] = []
        self.words: list[SpokenWord] = []

    @property
    def has_words(self) -> bool:
        return any(word.utf8 for word in self.words)

    def read(self, log_probabilities: FloatArray) -> None:
        """Go on with the rows of one step, (rows, vocab_size + 1)."""
        blank_id = self._spelling.blank_id
        previous = self.rows[-1] if self.rows else blank_id
        has_changed = False
        for number, token in enumerate(log_probabilities.argmax(axis=-1).tolist()):
            row = len(self.rows)
            self.rows.append(token)
            if token != blank_id:
                has_changed = True
                if token == previous:
                    self.pieces[-1] = self.pieces[-1]._replace(end_row=row + 1)
                else:
                    self.pieces.append(Piece(token, row, row + 1, float(log_probabilities[number, token])))
            previous = token
        if has_changed:
            self.words = self._spelling.words(self.pieces)

    def cut_off(self, from_row: int) -> None:
        """Drop the pieces that begin at or after a row: their audio will be heard again."""
        self.pieces = [piece for piece in self.pieces if piece.first_row < from_row]
        self.words = self._spelling.words(self.pieces)

    def text(self, *, stable_before_row: int) -> tuple[str, int]:
        """Give the text and how many of its characters will stay.

        The last word may still grow. Of the others those stay that end at or before `stable_before_row`.
        """
        complete = takewhile(lambda word: word.end_row <= stable_before_row, self.words[:-1])
        stable = " ".join(word.spelled for word in complete if word.utf8)
        return " ".join(word.spelled for word in self.words if word.utf8), len(stable)

    def placed_words(self, *, start_sample: int, end_sample: int) -> tuple[Word, ...]:
        """Give the words of an utterance that began at `start_sample`; none reaches beyond `end_sample`."""
        row_samples = self._spelling.row_samples
        return tuple(
            Word(
                word.spelled,
                min(start_sample + word.first_row * row_samples, end_sample),
                min(start_sample + word.end_row * row_samples, end_sample),
                min(math.exp(word.log_probability / word.pieces), 1.0),
            )
            for word in self.words
            if word.utf8
        )
