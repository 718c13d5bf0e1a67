"""Transducers: each piece that was emitted stands for itself, at the row that emitted it.

The backend has searched already, so a path only keeps what came. It is never revised.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from engines.interface import Decoding
from engines.recognition.words import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.interface import StreamOptions
    from engines.recognition.paths import NewPath
    from engines.recognition.words import Spelling, SpokenWord


class TransducerPath:
    """What has been emitted of one utterance; implements `engines.recognition.paths.Path`."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self.rows: list[int] = []
        """Of every row read the piece, or the blank."""
        self.pieces: list[Piece] = []
        self.words: list[SpokenWord] = []

    @property
    def has_words(self) -> bool:
        return any(word.utf8 for word in self.words)

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        """See `Path.read`; `log_probabilities` is (rows,), of each row's piece. A repeated piece was said twice."""
        emitted_before = len(self.pieces)
        for number, token in enumerate(best_tokens):
            row = len(self.rows)
            self.rows.append(token)
            if token != self._spelling.blank_id:
                self.pieces.append(Piece(token, row, row + 1, float(log_probabilities[number])))
        if len(self.pieces) > emitted_before:
            self.words = self._spelling.words(self.pieces)

    def cut_off(self, from_row: int) -> None:
        """See `Path.cut_off`."""
        self.pieces = [piece for piece in self.pieces if piece.first_row < from_row]
        self.words = self._spelling.words(self.pieces)

    def stable_words(self, *, before_row: int) -> int:
        """See `Path.stable_words`. The last word may still grow."""
        complete = takewhile(lambda word: word.end_row <= before_row, self.words[:-1])
        return sum(1 for _ in complete)


class TransducerPaths:
    """The decoder of a transducer's streams; implements `engines.recognition.paths.Paths`."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling

    def for_stream(self, options: StreamOptions) -> NewPath:
        """See `Paths.for_stream`."""
        return lambda: TransducerPath(self._spelling)

    def mistakes(self, options: StreamOptions) -> list[str]:
        """See `Paths.mistakes`."""
        mistakes = []
        if options.decoding is not Decoding.greedy:
            mistakes.append(f"decoding must be greedy with a transducer, not {options.decoding}")
        if options.keywords:
            mistakes.append("keywords cannot be boosted with a transducer")
        return mistakes
