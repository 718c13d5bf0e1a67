"""E-mail addresses, written or spoken: "john@example.com", "john dot smith at example dot co dot u k".

A spoken address begins with the word before "at" and with whatever is joined to that by "dot", "underscore" and the
like. A letter joins what follows it, a digit what is beside it ("j smith seven at"); two whole words do not join.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.text.number_words import NUMBER_WORDS, REPEATS, SPOKEN_ZERO

if TYPE_CHECKING:
    from engines.text.tape import Tape

_AT = "at"
_DOT = "dot"
_JOINTS = frozenset({_DOT, "point", "period", "underscore", "dash", "hyphen", "minus", "plus"})
_DOMAIN_JOINTS = frozenset({"dash", "hyphen"})
_NEVER_NAMES = frozenset(
    {
        "am", "are", "arrive", "arrived", "be", "been", "him", "is", "it", "live", "look", "looked", "looking", "the",
        "them", "to", "us", "was", "were",
    }
)  # fmt: skip
"""Stand before "at" and are not the name of a mailbox: "look at example dot com"."""
_NEVER_DOMAINS = frozenset({"an", "her", "his", "my", "our", "that", "the", "their", "this", "your"})
_MOST_DOMAIN_WORDS = 2


class Found(NamedTuple):
    """Addresses as words [first, end); which of the words from `settled` on belong to one is still open."""

    spans: list[tuple[int, int]]
    settled: int


def is_written_email(key: str) -> bool:
    """Whether one word is an address or a part of one; whoever writes "@" means nothing else."""
    return "@" in key


def written_emails(keys: list[str]) -> Found:
    """Find addresses in what a model writes."""
    return Found([(at, at + 1) for at, key in enumerate(keys) if is_written_email(key)], len(keys))


def emails(tape: Tape, *, is_over: bool) -> Found:
    """Find addresses in English words; more words may follow unless the utterance `is_over`."""
    spans: list[tuple[int, int]] = []
    words = tape.words
    limit = len(words) + is_over
    at = 0
    while at < len(words):
        word = words[at]
        if is_written_email(word):
            spans.append((at, at + 1))
            at += 1
            continue
        if not _is_atom(word) or word in _NEVER_NAMES:
            at += 1
            continue
        tape.seen = at
        end, behind = _address(tape, at)
        if tape.seen >= limit:
            return Found(spans, at)
        if end is not None:
            spans.append((at, end))
        at = behind if end is None else end
    return Found(spans, len(words))


def _address(tape: Tape, first: int) -> tuple[int | None, int]:
    """Read an address from its first word on; without one, say where the next may begin."""
    at = first
    while True:
        following = tape.peek(at + 1)
        if following == _AT:
            return _domain(tape, at + 2), at + 2
        if following in _JOINTS:
            if not _is_atom(tape.peek(at + 2)):
                return None, at + 1
            at += 2
        elif _is_atom(following) and _are_joined(tape.words[at], following):
            at += 1
        else:
            return None, at + 1


def _domain(tape: Tape, at: int) -> int | None:
    if tape.peek(at) in _NEVER_DOMAINS:
        return None
    end = _label(tape, at)
    while end is not None and tape.peek(end) in _DOMAIN_JOINTS:
        end = _label(tape, end + 1)
    if end is None or tape.peek(end) != _DOT:
        return None
    last = None
    while tape.peek(end) == _DOT:
        behind = _last_label(tape, end + 1)
        if behind is None:
            break
        last = end = behind
    return last


def _label(tape: Tape, at: int) -> int | None:
    """Read the name of a domain: any letters and digits, and at most two whole words."""
    end, whole_words = at, 0
    while _is_atom(word := tape.peek(end)):
        whole_words += not _is_spelled(word)
        if whole_words > _MOST_DOMAIN_WORDS:
            return None
        end += 1
    return end if end > at else None


def _last_label(tape: Tape, at: int) -> int | None:
    """Read what follows a dot: a word, or letters one by one."""
    word = tape.peek(at)
    if not _is_atom(word):
        return None
    end = at + 1
    if len(word) == 1:
        while len(tape.peek(end)) == 1:
            end += 1
    return end


def _is_atom(word: str) -> bool:
    return bool(word) and word != _AT and word not in _JOINTS


def _are_joined(word: str, following: str) -> bool:
    """Whether two words beside each other are one name: "j smith", "smith seven"; not "mail j"."""
    return _is_spelled(word) or (_is_spelled(following) and not (len(following) == 1 and following.isalpha()))


def _is_spelled(word: str) -> bool:
    return len(word) == 1 or word in NUMBER_WORDS or word in REPEATS or word == SPOKEN_ZERO or word.isdecimal()
