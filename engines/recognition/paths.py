"""The way of one utterance from rows to words: what every decoder must be able to say, and which one a stream gets.

A path is told each step's rows once, in order, and knows nothing else: what it says is a function of the utterance's
rows and the stream's options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engines.interface import Decoding
from engines.recognition.beam import BeamPath
from engines.recognition.decoding import GreedyPath
from engines.recognition.keywords import KeywordGraph, PieceIndex
from engines.recognition.option_checks import keyword_mistakes

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


class Paths(Protocol):
    """How the streams of one loaded model are decoded; made once, from its spelling."""

    def for_stream(self, options: StreamOptions) -> NewPath:
        """Give the decoder that a stream's options ask for; `mistakes` found none in them."""

    def mistakes(self, options: StreamOptions) -> list[str]:
        """Say in sentences what this model cannot do of what is asked; touches no state, so any thread may ask."""


class CtcPaths:
    """The decoders of a CTC model: greedy, or a prefix beam search where it or keywords are asked for.

    A boosted piece may have to win against the best piece of many rows, so keywords are only found by a search.
    """

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._index = PieceIndex(spelling)

    def for_stream(self, options: StreamOptions) -> NewPath:
        """See `Paths.for_stream`."""
        spelling = self._spelling
        if options.keywords:
            keywords = KeywordGraph(options.keywords, self._index, spelling)
            return lambda: BeamPath(spelling, keywords)
        if options.decoding is Decoding.beam:
            return lambda: BeamPath(spelling)
        return lambda: GreedyPath(spelling)

    def mistakes(self, options: StreamOptions) -> list[str]:
        """See `Paths.mistakes`."""
        return keyword_mistakes(options.keywords, self._index)
