"""Casing and punctuation by rules, for English words that have neither.

A pause between two words makes a comma, a longer one the end of a sentence. A sentence that begins like a question ends
with a question mark. As soon as a model writes a capital letter or a punctuation mark itself, the rest of the utterance
is left to the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import SAMPLES_PER_MS
from engines.text.number_words import MONTHS, MONTHS_THAT_ARE_VERBS, WEEKDAYS

if TYPE_CHECKING:
    from engines.text.tape import Item

COMMA_SAMPLES = 400 * SAMPLES_PER_MS
SENTENCE_END_SAMPLES = 700 * SAMPLES_PER_MS
"""Chosen, not measured: an utterance itself ends after 800 ms of silence by default."""

_FIRST_PERSON = frozenset({"i", "i'm", "i'll", "i've", "i'd"})
_NAMES_OF_DAYS_AND_MONTHS = WEEKDAYS | (MONTHS - MONTHS_THAT_ARE_VERBS)
_QUESTION_WORDS = frozenset(
    {"what", "what's", "where", "where's", "when", "why", "who", "who's", "whose", "which", "how", "how's"}
)
_AUXILIARIES = frozenset(
    {"am", "are", "can", "could", "did", "do", "does", "had", "has", "have", "is", "may", "must", "shall", "should",
     "was", "were", "will", "would"}
)  # fmt: skip
_SUBJECTS = frozenset(
    {"he", "i", "it", "she", "somebody", "someone", "that", "the", "there", "these", "they", "this", "those", "we",
     "you", "your", "my", "his", "her", "our", "their", "a", "an"}
)  # fmt: skip
_MARKS = ".,;:!?"


class Punctuation:
    """What the sentence so far says about the words that follow; one for each pass over an utterance."""

    def __init__(self) -> None:
        self.is_left_to_the_model = False
        self._begins_sentence = True
        self._opening: list[str] = []
        """The first two words of the sentence."""

    def cased(self, item: Item, *, is_as_spoken: bool) -> str:
        """Give an item's text with its capital letter, and note it as said; to be called once for each, in order.

        Args:
            is_as_spoken: it is a word of the model's, not something written by us.
        """
        text = item.text
        if is_as_spoken and (text != text.lower() or text[-1:] in _MARKS):
            self.is_left_to_the_model = True
        if self.is_left_to_the_model:
            return text
        if len(self._opening) < 2:
            self._opening.append(text)
        begins_sentence, self._begins_sentence = self._begins_sentence, False
        if text in _FIRST_PERSON or begins_sentence or text in _NAMES_OF_DAYS_AND_MONTHS:
            return text[:1].upper() + text[1:]
        return text

    def mark_behind(self, text: str, *, pause_samples: int) -> str:
        """Give the mark that a pause makes behind a text, or nothing."""
        if self.is_left_to_the_model or pause_samples < COMMA_SAMPLES:
            return ""
        if pause_samples < SENTENCE_END_SAMPLES:
            return "" if text[-1:] in _MARKS else ","
        return self.end_mark(text)

    def end_mark(self, text: str) -> str:
        """Give the mark at the end of a sentence; the next word begins another."""
        if self.is_left_to_the_model:
            return ""
        mark = "?" if self._is_question else "."
        self._opening = []
        self._begins_sentence = True
        return "" if text[-1:] == mark else mark

    @property
    def _is_question(self) -> bool:
        first, second = [*self._opening, "", ""][:2]
        if first in _QUESTION_WORDS:
            return True
        return first in _AUXILIARIES and second in _SUBJECTS
