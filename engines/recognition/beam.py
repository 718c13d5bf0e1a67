"""Prefix beam search over CTC: the most probable text rather than the text of the most probable pieces.

A hypothesis is a sequence of pieces. Its probability is the sum over all ways to lay it over the rows, held in two
parts: those that end with a blank and those that end with its last piece. Its rank is its log-probability and what
keywords add to its text. Beside the sum each part keeps its single best way, which says where the pieces lie.

These must stay true:
  - What the search says is a function of the rows read; how many came at once does not matter.
  - Pieces that all live hypotheses share are fixed, with their places: no later row changes them.

Source: Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs"
(2014), algorithm 1, without a language model.
"""

from __future__ import annotations

import math
from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engines.recognition.words import GrowingWords, Piece, complete_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.recognition.keywords import KeywordGraph
    from engines.recognition.words import Spelling, SpokenWord

_NEVER = -math.inf


class BeamLimits(NamedTuple):
    """What is not looked at. Differences are in nats.

    Attributes:
        width: hypotheses kept after each row.
        pieces_per_row: the most probable ones, that may go on with a hypothesis.
        piece_floor: pieces below this log-probability do not, unless a row has none above it.
        max_behind: hypotheses so far behind the best one are dropped.
    """

    width: int = 8
    pieces_per_row: int = 12
    piece_floor: float = -8.0
    max_behind: float = 12.0


DEFAULT_LIMITS = BeamLimits()


class _Hypothesis:
    """One sequence of pieces, as far as it is not fixed.

    `blank` and `piece` are log-probabilities of its ways that end so; `best_blank` and `best_piece` of the best ones,
    which lay its pieces as `blank_places` and `piece_places` say.
    """

    __slots__ = (
        "best_blank",
        "best_piece",
        "blank",
        "blank_places",
        "earned",
        "piece",
        "piece_places",
        "rank",
        "state",
        "tokens",
    )

    def __init__(self, tokens: tuple[int, ...], *, state: int, earned: float) -> None:
        self.tokens = tokens
        self.state = state
        self.earned = earned
        self.blank = self.piece = self.best_blank = self.best_piece = self.rank = _NEVER
        self.blank_places: tuple[Piece, ...] = ()
        self.piece_places: tuple[Piece, ...] = ()

    @property
    def places(self) -> tuple[Piece, ...]:
        return self.blank_places if self.best_blank >= self.best_piece else self.piece_places


class BeamPath:
    """Implements `engines.recognition.paths.Path`."""

    def __init__(
        self,
        spelling: Spelling,
        keywords: KeywordGraph | None = None,
        *,
        limits: BeamLimits = DEFAULT_LIMITS,
    ) -> None:
        self._spelling = spelling
        self._keywords = keywords
        self._limits = limits
        self.rows: list[int] = []
        self._fixed: list[Piece] = []
        begun = _Hypothesis((), state=keywords.start if keywords else 0, earned=0.0)
        begun.blank = begun.best_blank = begun.rank = 0.0
        self._live = [begun]
        self._growing = GrowingWords(spelling)
        self._growing_fixed = GrowingWords(spelling)
        self._words: list[SpokenWord] | None = []
        self._best: list[Piece] = []

    @property
    def pieces(self) -> Sequence[Piece]:
        """See `Path.pieces`."""
        return self._best

    @property
    def words(self) -> Sequence[SpokenWord]:
        """See `Path.words`."""
        if self._words is None:
            self._words = self._growing.of(self._best, settled=len(self._fixed))
        return self._words

    @property
    def has_words(self) -> bool:
        """See `Path.has_words`."""
        return any(word.utf8 for word in self.words)

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        """See `Path.read`."""
        blanks: list[float] = log_probabilities[:, self._spelling.blank_id].tolist()
        for number, candidates in enumerate(self._candidates(log_probabilities, best_tokens)):
            self._live = self._after_row(log_probabilities[number], blanks[number], candidates, len(self.rows))
            self.rows.append(best_tokens[number])
        self._fix_what_is_shared()
        best = max(self._live, key=self._rank_if_it_ended)
        self._best = [*self._fixed, *best.places]
        self._words = None

    def cut_off(self, from_row: int) -> None:
        """See `Path.cut_off`."""
        self._best = [piece for piece in self._best if piece.first_row < from_row]
        self._words = self._spelling.words(self._best)

    def stable_words(self, *, before_row: int) -> int:
        """See `Path.stable_words`. The last word that is fixed may still grow, until all begin another one."""
        words = self._growing_fixed.of(self._fixed, settled=len(self._fixed))
        following = {hypothesis.tokens[:1] for hypothesis in self._live}
        if not all(tokens and self._spelling.begins_word(tokens[0]) for tokens in following):
            words = words[:-1]
        return complete_words(words, before_row=before_row)

    def log_probability(self, tokens: tuple[int, ...]) -> float:
        """Give the log-probability of a live sequence of pieces; minus infinity where it is not live."""
        fixed = tuple(piece.token for piece in self._fixed)
        for hypothesis in self._live:
            if fixed + hypothesis.tokens == tokens:
                return _log_sum(hypothesis.blank, hypothesis.piece)
        return _NEVER

    def _candidates(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> list[list[tuple[int, float]]]:
        """Give the pieces that may go on with a hypothesis in each row, and their log-probabilities."""
        scores = log_probabilities if self._keywords is None else log_probabilities + self._keywords.bonus
        likeliest = scores[np.arange(len(best_tokens)), best_tokens]
        is_possible = scores >= np.minimum(likeliest, self._limits.piece_floor)[:, None]
        is_possible[:, self._spelling.blank_id] = False
        rows, tokens = is_possible.nonzero()
        found: list[list[tuple[int, float]]] = [[] for _ in best_tokens]
        for row, token, log_probability in zip(
            rows.tolist(), tokens.tolist(), log_probabilities[rows, tokens].tolist(), strict=True
        ):
            found[row].append((token, log_probability))
        for row, candidates in enumerate(found):
            if len(candidates) > self._limits.pieces_per_row:
                ranked = sorted((-scores.item(row, token), token, spoken) for token, spoken in candidates)
                found[row] = [(token, spoken) for _, token, spoken in ranked[: self._limits.pieces_per_row]]
        return found

    def _after_row(
        self, row: FloatArray, blank: float, candidates: list[tuple[int, float]], number: int
    ) -> list[_Hypothesis]:
        following: dict[tuple[int, ...], _Hypothesis] = {}
        for hypothesis in self._live:
            following[hypothesis.tokens] = _going_on(hypothesis, row, blank, number)
        for hypothesis in self._live if candidates else ():
            tokens = hypothesis.tokens
            last = tokens[-1] if tokens else -1
            either = _log_sum(hypothesis.blank, hypothesis.piece)
            best, places = max(hypothesis.best_blank, hypothesis.best_piece), hypothesis.places
            for token, log_probability in candidates:
                if token == last:
                    # Behind itself a piece is another one only after a blank.
                    gained, way, before = hypothesis.blank, hypothesis.best_blank, hypothesis.blank_places
                else:
                    gained, way, before = either, best, places
                if gained == _NEVER:
                    continue
                longer = (*tokens, token)
                other = following.get(longer)
                if other is None:
                    other = following[longer] = self._longer(hypothesis, longer, token)
                other.piece = _log_sum(other.piece, gained + log_probability)
                if way + log_probability > other.best_piece:
                    other.best_piece = way + log_probability
                    other.piece_places = (*before, Piece(token, number, number + 1, log_probability))
        return self._best_of(following)

    def _longer(self, hypothesis: _Hypothesis, tokens: tuple[int, ...], token: int) -> _Hypothesis:
        if self._keywords is None:
            return _Hypothesis(tokens, state=0, earned=0.0)
        state, earned = self._keywords.after(hypothesis.state, token)
        return _Hypothesis(tokens, state=state, earned=hypothesis.earned + earned)

    def _best_of(self, following: dict[tuple[int, ...], _Hypothesis]) -> list[_Hypothesis]:
        held = self._keywords.held if self._keywords else None
        for hypothesis in following.values():
            hypothesis.rank = _log_sum(hypothesis.blank, hypothesis.piece)
            if held is not None:
                hypothesis.rank += hypothesis.earned + held[hypothesis.state]
        ranked = sorted(following.values(), key=attrgetter("rank"), reverse=True)[: self._limits.width]
        lowest = ranked[0].rank - self._limits.max_behind
        return [hypothesis for hypothesis in ranked if hypothesis.rank >= lowest]

    def _rank_if_it_ended(self, hypothesis: _Hypothesis) -> float:
        rank = _log_sum(hypothesis.blank, hypothesis.piece)
        if self._keywords is not None:
            rank += hypothesis.earned + self._keywords.at_end(hypothesis.state)
        return rank

    def _fix_what_is_shared(self) -> None:
        """Fix the pieces that lie at the same place in all ways, but nobody's last: what follows it must know it."""
        ways = [hypothesis.blank_places for hypothesis in self._live if hypothesis.best_blank > _NEVER]
        ways += [hypothesis.piece_places for hypothesis in self._live if hypothesis.best_piece > _NEVER]
        at_most = min(len(hypothesis.tokens) for hypothesis in self._live) - 1
        places = takewhile(lambda pieces: pieces.count(pieces[0]) == len(pieces), zip(*ways, strict=False))
        fixed = [pieces[0] for pieces, _ in zip(places, range(at_most), strict=False)]
        if not fixed:
            return
        self._fixed += fixed
        shared = len(fixed)
        for hypothesis in self._live:
            hypothesis.tokens = hypothesis.tokens[shared:]
            hypothesis.blank_places = hypothesis.blank_places[shared:]
            hypothesis.piece_places = hypothesis.piece_places[shared:]


def _going_on(hypothesis: _Hypothesis, row: FloatArray, blank: float, number: int) -> _Hypothesis:
    """Give the same pieces after a row that adds none: a blank, or the last piece once more."""
    after = _Hypothesis(hypothesis.tokens, state=hypothesis.state, earned=hypothesis.earned)
    after.blank = _log_sum(hypothesis.blank, hypothesis.piece) + blank
    after.best_blank = max(hypothesis.best_blank, hypothesis.best_piece) + blank
    after.blank_places = hypothesis.places
    if hypothesis.piece != _NEVER:
        repeated = row.item(hypothesis.tokens[-1])
        after.piece = hypothesis.piece + repeated
        after.best_piece = hypothesis.best_piece + repeated
        *before, last = hypothesis.piece_places
        after.piece_places = (*before, Piece(last.token, last.first_row, number + 1, last.log_probability))
    return after


def _log_sum(one: float, other: float) -> float:
    """Give log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    return one if other == _NEVER else one + math.log1p(math.exp(other - one))
