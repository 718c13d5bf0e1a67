"""From recognised words to what a client reads, the same way in partials and finals.

These must stay true:
  - With plain options nothing is changed.
  - The first `stable_chars` characters of a partial are the beginning of every later partial and of the final, as long
    as the first `stable_words` words stay what they are.
  - A partial shows nothing that the final hides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.text.stages import Stages, stages_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import RedactionKind, TextOptions, Word


class RedactedSpan(NamedTuple):
    """Something hidden: the spoken words [first_word, end_word), which took [start_sample, end_sample)."""

    kind: RedactionKind
    first_word: int
    end_word: int
    start_sample: int
    end_sample: int


class Presented(NamedTuple):
    """`text` is the words joined by spaces; a word's times are those of the spoken words that it stands for."""

    text: str
    words: tuple[Word, ...]
    redacted: tuple[RedactedSpan, ...] = ()


class PresentedPartial(NamedTuple):
    """The first `stable_chars` characters of `text` will not change any more."""

    text: str
    stable_chars: int


class Presenter:
    """Writes the words of any number of utterances by one set of options; it remembers nothing of them."""

    def __init__(self, options: TextOptions, language: str) -> None:
        self.stages: Stages = stages_for(language)
        self._options = options

    def final(self, words: tuple[Word, ...]) -> Presented:
        """Write all words of an utterance."""
        return Presented(" ".join([word.text for word in words]), words)

    def partial(self, words: Sequence[Word], *, stable_words: int) -> PresentedPartial:
        """Write the words so far, of which the first `stable_words` will not change, nor their times."""
        texts = [word.text for word in words]
        stable = " ".join(texts[:stable_words])
        return PresentedPartial(" ".join(texts), len(stable))
