"""Words that are read from left to right, and how far ahead one had to look.

A decision that never looked behind the words that stay cannot change by what follows: this is what makes the text of a
partial stable, whatever the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN = "\0"
"""Stands in the place of a word that is hidden: no rule knows it."""


class Item(NamedTuple):
    """Something written, and the words [first, end) that it stands for; without spaces in it."""

    text: str
    first: int
    end: int


class Tape:
    """Words in lower case. Whoever wants to know how far was looked sets `seen` back before and reads it after."""

    __slots__ = ("_end", "seen", "words")

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self._end = len(words)
        self.seen = -1
        """The highest index that was looked at; the number of words if that was their end."""

    def peek(self, index: int) -> str:
        """Give the word at an index of 0 or more, or nothing behind the end."""
        if index >= self._end:
            self.seen = self._end
            return ""
        if index > self.seen:
            self.seen = index
        return self.words[index]

    def before(self, index: int) -> str:
        """Give the word before an index, or nothing at the start."""
        return self.words[index - 1] if index else ""
