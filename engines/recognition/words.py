"""What pieces spell: from emitted pieces to words with their places and confidence.

Output rows are numbered from the start of the utterance; row j stands for the samples [j, j + 1) * `row_samples`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from engines.interface import Word
from engines.recognition.features import SHIFT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engines.contract import ModelContract, TransducerContract

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

    def __init__(self, contract: ModelContract | TransducerContract) -> None:
        self.blank_id = contract.blank_id
        self.row_samples = contract.subsampling * SHIFT_SAMPLES
        self._bytes = [_piece_bytes(piece) for piece in contract.tokens]
        # Split at spaces: the first part goes on with the current word, each further one begins a new word.
        self._parts = [piece.split(b" ") for piece in self._bytes]

    @property
    def pieces(self) -> Sequence[bytes]:
        """What each piece spells, a space where a word begins."""
        return self._bytes

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

    def placed(self, words: Iterable[SpokenWord], *, start_sample: int, end_sample: int) -> tuple[Word, ...]:
        """Give the words of an utterance that began at `start_sample`; none reaches beyond `end_sample`."""
        return tuple(
            Word(
                word.spelled,
                min(start_sample + word.first_row * self.row_samples, end_sample),
                min(start_sample + word.end_row * self.row_samples, end_sample),
                min(math.exp(word.log_probability / word.pieces), 1.0),
            )
            for word in words
            if word.utf8
        )


class GrowingWords:
    """The words of pieces that grow in number and of which the first ones stay: only the others are joined anew."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._settled: list[SpokenWord] = []
        self._settled_pieces = 0
        """So many pieces made the settled words; the next one begins a word."""

    def of(self, pieces: Sequence[Piece], *, settled: int) -> list[SpokenWord]:
        """Give the words of all pieces, of which the first `settled` are the same in every later call."""
        for at in range(settled - 1, self._settled_pieces, -1):
            if self._spelling.begins_word(pieces[at].token):
                self._settled += self._joined(pieces[self._settled_pieces : at])
                self._settled_pieces = at
                break
        return self._settled + self._joined(pieces[self._settled_pieces :])

    def _joined(self, pieces: Sequence[Piece]) -> list[SpokenWord]:
        # What stands before the space that begins a word has been joined to the word before it.
        return self._spelling.words(pieces)[1 if self._settled_pieces else 0 :]


def joined(words: Iterable[SpokenWord]) -> str:
    """Give the text of some words."""
    # All at once: a space ends whatever a word left incomplete, so this is what decoding word by word would give.
    return b" ".join([word.utf8 for word in words if word.utf8]).decode("utf-8", "replace")


def complete_words(words: Sequence[SpokenWord], *, before_row: int) -> int:
    """How many of the first words end at or before a row. They lie in order."""
    return bisect_right(words, before_row, key=_end_row)


_end_row = attrgetter("end_row")


def _piece_bytes(piece: str) -> bytes:
    byte = _BYTE_PIECE.match(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(_WORD_MARK, " ").encode()
