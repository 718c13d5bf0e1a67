"""From recognised words to what a client reads, the same way in partials and finals.

These must stay true:
  - With plain options nothing is changed.
  - The first `stable_chars` characters of a partial are the beginning of every later partial and of the final, as long
    as the first `stable_words` words stay what they are, with their times.
  - A partial shows nothing that the final hides. With redaction only words that will not change are shown, and of
    those only what comes before anything that may yet become something to hide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.interface import ProfanityHandling, Word
from engines.text.numerals import may_begin, rewrite
from engines.text.profanity import is_profane, masked, may_become_profane
from engines.text.punctuation import Punctuation
from engines.text.redaction import HiddenSpan, Redactor
from engines.text.stages import Stages, stages_for
from engines.text.tape import HIDDEN, Item, Tape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import RedactionKind, TextOptions


class RedactedSpan(NamedTuple):
    """Something hidden: the spoken words [first_word, end_word), which took [start_sample, end_sample)."""

    kind: RedactionKind
    first_word: int
    end_word: int
    start_sample: int
    end_sample: int


class Presented(NamedTuple):
    """`text` is the words joined by spaces.

    A word's times are those of the spoken words that it stands for, its confidence is the least of theirs.
    """

    text: str
    words: tuple[Word, ...]
    redacted: tuple[RedactedSpan, ...] = ()


class PresentedPartial(NamedTuple):
    """The first `stable_chars` characters of `text` will not change any more."""

    text: str
    stable_chars: int


class Presenter:
    """Writes the words of any number of utterances by one set of options; it remembers nothing of them.

    Attributes:
        stages: what can be done in the language at all.
        is_plain: nothing is changed, so that nobody needs to ask.
    """

    def __init__(self, options: TextOptions, language: str) -> None:
        self.stages: Stages = stages_for(language)
        self._numerals = options.numerals and self.stages.numerals
        self._punctuation = options.punctuation and self.stages.punctuation
        self._profanity = options.profanity if self.stages.profanity else ProfanityHandling.keep
        self._redactor = Redactor(options.redact, with_words=self.stages.spoken_redaction) if options.redact else None
        keeps_words = self._profanity is ProfanityHandling.keep and self._redactor is None
        self.is_plain = keeps_words and not self._numerals and not self._punctuation

    def final(self, words: tuple[Word, ...]) -> Presented:
        """Write all words of an utterance."""
        texts = [word.text for word in words]
        if self.is_plain or not words:
            return Presented(" ".join(texts), words)
        spans = self._redactor.redact(texts, is_over=True).spans if self._redactor else ()
        items, _ = self._items(texts, spans, limit=len(words) + 1)
        if self._profanity is not ProfanityHandling.keep:
            items = [decent for item in items if (decent := self._decent(item)) is not None]
        if self._punctuation:
            written, marks = _punctuated(items, words, is_over=True)
            items = [item._replace(text=text + mark) for item, text, mark in zip(items, written, marks, strict=True)]
        presented = tuple(_word(item, words) for item in items)
        redacted = tuple(
            RedactedSpan(kind, first, end, words[first].start_sample, words[end - 1].end_sample)
            for first, end, kind in spans
        )
        return Presented(" ".join([word.text for word in presented]), presented, redacted)

    def partial(self, words: Sequence[Word], *, stable_words: int) -> PresentedPartial:
        """Write the words so far, of which the first `stable_words` will not change, nor their times."""
        texts = [word.text for word in words]
        if self.is_plain:
            return PresentedPartial(" ".join(texts), len(" ".join(texts[:stable_words])))
        spans: tuple[HiddenSpan, ...] = ()
        if self._redactor:
            spans, stable_words = self._redactor.redact(texts[:stable_words], is_over=False)
            texts = texts[:stable_words]
        elif self._profanity is not ProfanityHandling.keep:
            texts = _until_maybe_profane(texts, stable_words)
        items, settled = self._items(texts, spans, limit=stable_words)
        if self._profanity is not ProfanityHandling.keep:
            kept = [self._decent(item) for item in items]
            settled = sum(item is not None for item in kept[:settled])
            items = [item for item in kept if item is not None]
        if not self._punctuation:
            written = [item.text for item in items]
            return PresentedPartial(" ".join(written), len(" ".join(written[:settled])))
        written, marks = _punctuated(items, words, is_over=False)
        text = " ".join([text + mark for text, mark in zip(written, marks, strict=True)])
        # The mark behind the last item to stay may depend on words that do not.
        marks[settled - 1 :] = [""] if settled else []
        stable = " ".join([text + mark for text, mark in zip(written, marks, strict=False)]) if settled else ""
        return PresentedPartial(text, len(stable))

    def _items(self, texts: list[str], spans: Sequence[HiddenSpan], *, limit: int) -> tuple[list[Item], int]:
        """Hide and write in digits; say how many items at the start rest on words before `limit` alone."""
        keys = texts
        if self._numerals or spans:
            keys = [text.lower() for text in texts]
        hidden: dict[int, HiddenSpan] = {}
        for span in spans:
            hidden[span.first] = span
            keys[span.first : span.end] = [HIDDEN] * (span.end - span.first)
        tape = Tape(keys)
        has_numerals = self._numerals
        items: list[Item] = []
        settled = -1
        at = 0
        while at < len(texts):
            key = keys[at]
            if has_numerals and may_begin(key):
                tape.seen = at
                rewritten = rewrite(tape, at)
                if settled < 0 and tape.seen >= limit:
                    settled = len(items)
                items += rewritten if rewritten is not None else (Item(texts[at], at, at + 1),)
                at = items[-1].end
            elif at in hidden:
                span = hidden[at]
                items.append(Item(f"[{span.kind.value}]", at, span.end))
                at = span.end
            else:
                items.append(Item(texts[at], at, at + 1))
                at += 1
            if settled < 0 and at > limit:
                settled = len(items) - 1
        return items, len(items) if settled < 0 else settled

    def _decent(self, item: Item) -> Item | None:
        if item.end - item.first > 1 or not is_profane(item.text):
            return item
        return None if self._profanity is ProfanityHandling.remove else item._replace(text=masked(item.text))


def _punctuated(items: list[Item], words: Sequence[Word], *, is_over: bool) -> tuple[list[str], list[str]]:
    """Give the text of each item in its case, and the mark behind it."""
    rules = Punctuation()
    written: list[str] = []
    marks: list[str] = []
    for number, item in enumerate(items):
        is_as_spoken = item.end - item.first == 1 and item.text == words[item.first].text
        text = rules.cased(item, is_as_spoken=is_as_spoken)
        written.append(text)
        if number + 1 < len(items):
            marks.append(rules.mark_behind(text, pause_samples=_pause_samples(item, items[number + 1], words)))
        else:
            marks.append(rules.end_mark(text) if is_over else "")
    return written, marks


def _pause_samples(item: Item, following: Item, words: Sequence[Word]) -> int:
    """The longest pause between two items; words that were removed may lie between them."""
    if item.end == following.first:
        return words[item.end].start_sample - words[item.end - 1].end_sample
    return max(words[at].start_sample - words[at - 1].end_sample for at in range(item.end, following.first + 1))


def _word(item: Item, words: tuple[Word, ...]) -> Word:
    spoken = words[item.first : item.end]
    if len(spoken) == 1:
        return spoken[0] if spoken[0].text == item.text else _spoken_as(item.text, spoken)
    return _spoken_as(item.text, spoken)


def _spoken_as(text: str, spoken: tuple[Word, ...]) -> Word:
    least = min(word.confidence for word in spoken)
    return Word(text, spoken[0].start_sample, spoken[-1].end_sample, least)


def _until_maybe_profane(texts: list[str], stable_words: int) -> list[str]:
    """Leave out what is still growing and may come to be profane, and everything behind it."""
    for at in range(stable_words, len(texts)):
        if may_become_profane(texts[at]):
            return texts[:at]
    return texts
