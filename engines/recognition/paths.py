"""The way of one utterance from rows to words: what every decoder must be able to say, and which one a stream gets.

A path is told each step's rows once, in order, and knows nothing else: what it says is a function of the utterance's
rows and the stream's options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engines.recognition.decoding import GreedyPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.interface import StreamOptions
    from engines.recognition.words import Piece, Spelling, SpokenWord


class Path(Protocol):
    """What has been decoded of one utterance."""

    rows: list[int]
    """Of every row read the best token, the blank among them: where an utterance that is too long may be cut."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces of the best guess, in order."""

    @property
    def words(self) -> Sequence[SpokenWord]:
        """The words of the best guess, in order; one without text is a space that nothing has followed yet."""

    @property
    def has_words(self) -> bool:
        """Whether the best guess has text."""

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        """Go on with the rows of one step.

        Args:
            log_probabilities: (rows, outputs) float32; only read before this returns.
            best_tokens: the argmax of each row.
        """

    def cut_off(self, from_row: int) -> None:
        """Drop the pieces that begin at or after a row: their audio will be heard again. Nothing is read behind it."""

    def stable_words(self, *, before_row: int) -> int:
        """How many of the first words will never change, whatever is read. Each ends at or before `before_row`.

        It does not shrink from step to step of one utterance.
        """


NewPath = Callable[[], Path]
"""Begins an utterance. Made once a stream, so what is costly to prepare is prepared there."""

Paths = Callable[["Spelling", "StreamOptions"], NewPath]
"""How the streams of one kind of model are decoded."""


def ctc_paths(spelling: Spelling, options: StreamOptions) -> NewPath:
    """Give the decoder of a CTC model's stream."""
    return lambda: GreedyPath(spelling)
