"""Phrases that a stream wants to hear more, or less, often than the model thinks: a prefix trie over what is spelled.

A phrase is matched by what the pieces spell, byte by byte, and not piece by piece: a model may spell the same words
with several rows of pieces, and each of them counts. It is matched from the beginning of a word to the end of a word;
`on` is not found in `one`.

The boost of a phrase is its boost for each piece times the fewest pieces that spell it. A hypothesis that is on its way
through a phrase holds the share of the boost that it has spelled of it; it loses that share where it leaves the phrase
and earns the whole boost where it completes it. A negative boost counts only where the phrase is complete, so that it
does not hold down other words that begin alike. Phrases that lie inside each other add up. All of this is a function of
the text so far, so hypotheses may be merged and replayed freely.

Source of the automaton: Aho and Corasick, "Efficient string matching" (1975); of boosts that are taken back:
k2-fsa/icefall, icefall/context_graph.py.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engines.interface import Keyword
    from engines.recognition.words import Spelling

_SPACE = 0x20
_NOT_SPELLED = re.compile(rb"<[^ ]*>\Z")
"""`<unk>` and its like stand for something else than their letters."""
_MAX_REMEMBERED = 50_000
_ROOT = 0


class SpelledPhrase(NamedTuple):
    """`text` as the model would spell it, without the spaces around it; `pieces` that may take part in it."""

    text: bytes
    fewest_pieces: int
    pieces: frozenset[int]


class PieceIndex:
    """The pieces of one model by what they spell; shared by all its streams."""

    def __init__(self, spelling: Spelling) -> None:
        self._tokens: dict[bytes, list[int]] = {}
        for token, piece in enumerate(spelling.pieces):
            if token != spelling.blank_id and piece and not _NOT_SPELLED.match(piece):
                self._tokens.setdefault(piece, []).append(token)
        self._longest = max(map(len, self._tokens), default=0)

    def spell(self, phrase: str) -> SpelledPhrase | None:
        """Find how the model can spell a phrase: as it is written, else in small, else in large letters.

        None where it cannot.
        """
        written = " ".join(phrase.split())
        if not written:
            return None
        for text in dict.fromkeys((written, written.lower(), written.upper())):
            # The first word of an utterance may come without its space.
            for start in (b" ", b""):
                found = self._spell(start + text.encode())
                if found is not None:
                    return SpelledPhrase(text.encode(), *found)
        return None

    def _spell(self, text: bytes) -> tuple[int, frozenset[int]] | None:
        """Give the fewest pieces that spell `text`, and all that take part in any way of spelling it."""
        end = len(text)
        fewest: list[int | None] = [0, *[None] * end]
        used: list[tuple[int, int]] = []
        for begin in range(end):
            so_far = fewest[begin]
            if so_far is None:
                continue
            for stop in range(begin + 1, min(begin + self._longest, end) + 1):
                if text[begin:stop] in self._tokens:
                    used.append((begin, stop))
                    known = fewest[stop]
                    fewest[stop] = so_far + 1 if known is None else min(known, so_far + 1)
        count = fewest[end]
        if count is None:
            return None
        leads_to_end = {end}
        tokens: set[int] = set()
        for begin, stop in sorted(used, reverse=True):
            if stop in leads_to_end:
                leads_to_end.add(begin)
                tokens.update(self._tokens[text[begin:stop]])
        return count, frozenset(tokens)


class KeywordGraph:
    """The automaton of one stream's phrases. A state is a number; it stands for what of a phrase was spelled last."""

    def __init__(self, keywords: Iterable[Keyword], index: PieceIndex, spelling: Spelling) -> None:
        """Phrases that the model cannot spell are left out: `keyword_mistakes` tells of them before."""
        self._pieces: Sequence[bytes] = spelling.pieces
        self._next: list[dict[int, int]] = [{}]
        self._fail = [_ROOT]
        self._ends_with_space = [False]
        self._earned = [0.0]
        self.held = [0.0]
        """By state: the share of a boost that a hypothesis in it holds, and may lose again."""
        self.bonus = np.zeros(len(spelling.pieces), np.float32)
        """By piece: the most that a phrase gives for it, so that no search drops it before it is compared."""
        self._remembered: dict[tuple[int, int], tuple[int, float]] = {}
        self._add(b" ", 0.0)
        for keyword in keywords:
            spelled = index.spell(keyword.phrase)
            if spelled is None:
                continue
            boost = keyword.boost_permille / 1_000
            self._add(b" " + spelled.text + b" ", boost * spelled.fewest_pieces)
            tokens = list(spelled.pieces)
            self.bonus[tokens] = np.maximum(self.bonus[tokens], boost)
        self._link()
        self.start = self._next[_ROOT][_SPACE]

    def after(self, state: int, token: int) -> tuple[int, float]:
        """Give the state after one more piece, and the boost that it earned for good."""
        known = self._remembered.get((state, token))
        if known is not None:
            return known
        earned = 0.0
        reached = state
        for byte in self._pieces[token]:
            reached, more = self._after_byte(reached, byte)
            earned += more
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[state, token] = reached, earned
        return reached, earned

    def at_end(self, state: int) -> float:
        """Give the boost that the end of the utterance earns: the end of its last word."""
        return self._after_byte(state, _SPACE)[1]

    def _after_byte(self, state: int, byte: int) -> tuple[int, float]:
        if byte == _SPACE and self._ends_with_space[state]:
            return state, 0.0
        while byte not in self._next[state] and state != _ROOT:
            state = self._fail[state]
        state = self._next[state].get(byte, _ROOT)
        return state, self._earned[state]

    def _add(self, key: bytes, boost: float) -> None:
        state = _ROOT
        for depth, byte in enumerate(key, start=1):
            following = self._next[state].get(byte)
            if following is None:
                following = len(self._next)
                self._next[state][byte] = following
                self._next.append({})
                self._fail.append(_ROOT)
                self._ends_with_space.append(byte == _SPACE)
                self._earned.append(0.0)
                self.held.append(0.0)
            state = following
            if depth < len(key):
                self.held[state] = max(self.held[state], boost * depth / len(key))
        self._earned[state] += boost

    def _link(self) -> None:
        """Lead each state to the longest other one that ends what it has spelled, shortest first."""
        waiting = deque(self._next[_ROOT].values())
        while waiting:
            state = waiting.popleft()
            for byte, following in self._next[state].items():
                fallback = self._fail[state]
                while byte not in self._next[fallback] and fallback != _ROOT:
                    fallback = self._fail[fallback]
                self._fail[following] = self._next[fallback].get(byte, _ROOT)
                waiting.append(following)
            self._earned[state] += self._earned[self._fail[state]]
            self.held[state] = max(self.held[state], self.held[self._fail[state]])
