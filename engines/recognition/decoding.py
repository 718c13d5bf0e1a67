"""Greedy CTC: the best piece of every row.

A greedy path is never revised: a row once read adds to the text or leaves it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.recognition.words import GrowingWords, Piece, complete_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.recognition.words import Spelling, SpokenWord


class GreedyPath:
    """The best token of every row of one utterance, and the pieces and words they come to."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._growing = GrowingWords(spelling)
        self.rows: list[int] = []
        """Of every row read the best token, the blank among them."""
        self.pieces: list[Piece] = []
        self.words: list[SpokenWord] = []

    @property
    def has_words(self) -> bool:
        return any(word.utf8 for word in self.words)

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        """See `Path.read`."""
        blank_id = self._spelling.blank_id
        previous = self.rows[-1] if self.rows else blank_id
        has_changed = False
        for number, token in enumerate(best_tokens):
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
            # The last piece may still reach further.
            self.words = self._growing.of(self.pieces, settled=len(self.pieces) - 1)

    def cut_off(self, from_row: int) -> None:
        """See `Path.cut_off`."""
        self.pieces = [piece for piece in self.pieces if piece.first_row < from_row]
        self.words = self._spelling.words(self.pieces)

    def stable_words(self, *, before_row: int) -> int:
        """See `Path.stable_words`. The last word may still grow."""
        return complete_words(self.words[:-1], before_row=before_row)
