"""What must be hidden of the words of an utterance, and from which word on that is still open.

Everything is decided by runs of words and by what stands directly behind them, so nothing that was decided changes by
what follows. While more words may come, a run at the end is open: it is not known yet what it will have been.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.interface import RedactionKind
from engines.text.emails import Found, emails, written_emails
from engines.text.ibans import iban_end
from engines.text.numbered_things import (
    CARD_LENGTHS,
    is_card_number,
    is_national_id,
    is_phone_number,
    lettered_national_ids,
)
from engines.text.spoken_characters import SURROUNDING_PUNCTUATION, CharacterReader
from engines.text.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engines.text.spoken_characters import Character, Run

_KINDS_IN_RUNS = (
    RedactionKind.iban,
    RedactionKind.card_number,
    RedactionKind.national_id,
    RedactionKind.phone_number,
)
"""In this order: the first that claims a run's words names them."""


class HiddenSpan(NamedTuple):
    """Words [first, end) are hidden."""

    first: int
    end: int
    kind: RedactionKind


class Redaction(NamedTuple):
    """Spans in order, apart from each other, all of them before `settled`: from there on nothing is known yet."""

    spans: tuple[HiddenSpan, ...]
    settled: int


class Redactor:
    """Finds what must be hidden, by kinds; `with_words`: in English words too, else only what a model writes."""

    def __init__(self, kinds: Iterable[RedactionKind], *, with_words: bool) -> None:
        self._kinds = frozenset(kinds)
        self._with_words = with_words
        with_letters = bool(self._kinds & {RedactionKind.iban, RedactionKind.national_id})
        self._reader = CharacterReader(with_letters=with_letters, with_words=with_words)

    def redact(self, texts: list[str], *, is_over: bool) -> Redaction:
        """Look through words as the model spells them; more may follow unless the utterance `is_over`."""
        keys = [text if text.isalpha() and text.islower() else _key(text) for text in texts]
        spans: list[HiddenSpan] = []
        settled = len(keys)
        if not self._kinds.isdisjoint(_KINDS_IN_RUNS):
            settled = self._look_in_runs(texts, keys, spans, is_over=is_over)
        if RedactionKind.email in self._kinds:
            found = self._emails(keys, is_over=is_over)
            spans += [HiddenSpan(first, end, RedactionKind.email) for first, end in found.spans]
            settled = min(settled, found.settled)
        if not spans:
            return Redaction((), settled)
        joined = _joined(spans)
        for span in reversed(joined):
            if span.first < settled < span.end:
                settled = span.first
        return Redaction(tuple(span for span in joined if span.end <= settled), settled)

    def _emails(self, keys: list[str], *, is_over: bool) -> Found:
        return emails(Tape(keys), is_over=is_over) if self._with_words else written_emails(keys)

    def _look_in_runs(self, texts: list[str], keys: list[str], spans: list[HiddenSpan], *, is_over: bool) -> int:
        reader = self._reader
        at = 0
        while at < len(keys):
            if not reader.may_begin(texts[at], keys[at]):
                at += 1
                continue
            end = reader.run_end(texts, keys, at)
            if end == len(keys) and not is_over:
                return at
            spans += self._in_run(reader.read(keys, at, end))
            at = end
        return len(keys)

    def _in_run(self, run: Run) -> Iterator[HiddenSpan]:
        for kind in _KINDS_IN_RUNS:
            if kind not in self._kinds:
                continue
            match kind:
                case RedactionKind.iban:
                    found = _ibans(run)
                case RedactionKind.card_number:
                    found = _card_numbers(run)
                case RedactionKind.national_id:
                    found = _national_ids(run)
                case _:
                    found = _phone_numbers(run)
            hidden = [HiddenSpan(first, end, kind) for first, end in found]
            yield from hidden
            run = _without(run, hidden)


def _key(text: str) -> str:
    return text.lower().strip(SURROUNDING_PUNCTUATION)


def _without(run: Run, hidden: list[HiddenSpan]) -> Run:
    """Leave gaps where something was found: what stands beside it is looked at by itself."""
    if not hidden:
        return run
    gone = {word for span in hidden for word in range(span.first, span.end)}
    return run._replace(
        characters=tuple(
            character._replace(value=" ") if character.first in gone else character for character in run.characters
        )
    )


def _joined(spans: list[HiddenSpan]) -> list[HiddenSpan]:
    """Join what overlaps; the longest of them gives the kind, of equals the one found first."""
    joined: list[HiddenSpan] = []
    longest = 0
    for span in sorted(spans, key=lambda span: span.first):
        length = span.end - span.first
        if not joined or span.first >= joined[-1].end:
            joined.append(span)
            longest = length
            continue
        last = joined[-1]
        joined[-1] = HiddenSpan(last.first, max(last.end, span.end), span.kind if length > longest else last.kind)
        longest = max(longest, length)
    return joined


def _span(characters: Sequence[Character]) -> tuple[int, int]:
    return characters[0].first, characters[-1].end


def _ibans(run: Run) -> Iterator[tuple[int, int]]:
    spelled = [character for character in run.characters if character.value not in " +"]
    text = "".join(character.value for character in spelled)
    for at in range(len(spelled)):
        end = iban_end(text, at)
        if end is not None:
            yield _span(spelled[at:end])


def _card_numbers(run: Run) -> Iterator[tuple[int, int]]:
    """Find every stretch of digits that is a card number: of a longer string any part may be one."""
    for parts, _ in _digit_stretches(run):
        digits = [digit for part in parts for digit in part]
        text = _text(digits)
        for at in range(len(digits) - CARD_LENGTHS.start + 1):
            for length in CARD_LENGTHS:
                if at + length <= len(digits) and is_card_number(text[at : at + length]):
                    yield _span(digits[at : at + length])


def _national_ids(run: Run) -> Iterator[tuple[int, int]]:
    spelled = [character for character in run.characters if character.value not in " +"]
    for first, end in lettered_national_ids("".join(character.value for character in spelled)):
        yield _span(spelled[first:end])
    for parts, _ in _digit_stretches(run):
        for digits in _successive(parts):
            if is_national_id(_text(digits)):
                yield _span(digits)


def _phone_numbers(run: Run) -> Iterator[tuple[int, int]]:
    for parts, plus in _digit_stretches(run):
        for digits in _successive(parts):
            begins_with_plus = plus is not None and digits[0] is parts[0][0]
            if is_phone_number(_text(digits), has_plus=begins_with_plus):
                yield (plus.first if plus is not None and begins_with_plus else digits[0].first), digits[-1].end


def _digit_stretches(run: Run) -> Iterator[tuple[list[list[Character]], Character | None]]:
    """Give digits between letters, in the parts that something said in between makes, and the plus sign before them."""
    parts: list[list[Character]] = [[]]
    plus: Character | None = None
    for character in run.characters:
        if character.value.isdecimal() or character.value == "O":
            parts[-1].append(character)
        elif character.value == " ":
            parts.append([])
        else:
            if any(parts):
                yield [part for part in parts if part], plus
            parts = [[]]
            plus = character if character.value == "+" else None
    if any(parts):
        yield [part for part in parts if part], plus


def _successive(parts: list[list[Character]]) -> Iterator[list[Character]]:
    """Give each part and each number of successive parts as one."""
    for first in range(len(parts)):
        digits: list[Character] = []
        for part in parts[first:]:
            digits = digits + part
            yield digits


def _text(digits: Sequence[Character]) -> str:
    return "".join(digit.value.replace("O", "0") for digit in digits)
