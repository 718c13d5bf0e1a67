"""Words lost and doubled against an undisturbed run, by position and by text. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a final; milliseconds on the session's audio clock."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class WordFaults:
    """What differs. `changed`: words that stand where they should and say something else."""

    expected: int = 0
    lost_by_position: int = 0
    doubled_by_position: int = 0
    lost_by_text: int = 0
    doubled_by_text: int = 0
    changed: int = 0

    def __add__(self, other: WordFaults) -> WordFaults:
        return WordFaults(
            self.expected + other.expected,
            self.lost_by_position + other.lost_by_position,
            self.doubled_by_position + other.doubled_by_position,
            self.lost_by_text + other.lost_by_text,
            self.doubled_by_text + other.doubled_by_text,
            self.changed + other.changed,
        )

    @property
    def lost(self) -> int:
        """The worse of the two counts."""
        return max(self.lost_by_position, self.lost_by_text)

    @property
    def doubled(self) -> int:
        return max(self.doubled_by_position, self.doubled_by_text)


def compare(undisturbed: Sequence[SpokenWord], disturbed: Sequence[SpokenWord]) -> WordFaults:
    """Hold a transcript against that of the same audio in an undisturbed run.

    By position: a place where the undisturbed run has a word and this one none is a loss; more words at a place than
    there were, or a word that begins before the one before it ended, is one doubled. By text: the longest common
    sequence decides; what is not in it is lost, or doubled.
    """
    expected = Counter((word.start_ms, word.end_ms) for word in undisturbed)
    got = Counter((word.start_ms, word.end_ms) for word in disturbed)
    texts = [word.text for word in undisturbed], [word.text for word in disturbed]
    lost_text = doubled_text = 0
    for kind, from_a, to_a, from_b, to_b in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if kind != "equal":
            lost_text += to_a - from_a
            doubled_text += to_b - from_b
    at_place = {(word.start_ms, word.end_ms): word.text for word in undisturbed}
    changed = sum(
        (place := (word.start_ms, word.end_ms)) in at_place and at_place[place] != word.text for word in disturbed
    )
    return WordFaults(
        expected=len(undisturbed),
        lost_by_position=sum((expected - got).values()),
        doubled_by_position=max(sum((got - expected).values()), _overlaps(disturbed) - _overlaps(undisturbed)),
        lost_by_text=lost_text,
        doubled_by_text=doubled_text,
        changed=changed,
    )


def _overlaps(words: Sequence[SpokenWord]) -> int:
    return sum(later.start_ms < earlier.end_ms for earlier, later in pairwise(words))
