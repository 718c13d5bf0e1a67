"""What a client wishes of recognition beyond model and pauses: decoding, keywords, how text is written; each checked.

Every mistake becomes a sentence in the caller's list. None repeats a client's text: it may hold a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from engines.interface import Decoding, Keyword, ProfanityHandling, RedactionKind, TextOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.wire.messages import KeywordSpec, TextSpec

_MAX_PLACES_NAMED = 20
"""Of the keywords that share a mistake; the others are counted."""


@dataclass(frozen=True, slots=True)
class KeywordLimits:
    """How many phrases, how long each and all together, in characters, and how far up or down they may be pushed."""

    max_keywords: int
    max_phrase_chars: int
    max_total_chars: int
    max_boost_permille: int


def read_decoding(name: str, mistakes: list[str]) -> Decoding:
    return _named(Decoding, name, "decoding", mistakes) or Decoding.greedy


def read_text(given: TextSpec, mistakes: list[str]) -> TextOptions:
    """`redact` in an order of its own, each kind once: it is a set."""
    profanity = _named(ProfanityHandling, given.profanity, "text.profanity", mistakes)
    if any(name not in _REDACTION_NAMES for name in given.redact):
        mistakes.append(f"text.redact may hold {', '.join(RedactionKind)}")
    return TextOptions(
        numerals=given.numerals,
        punctuation=given.punctuation,
        profanity=profanity or ProfanityHandling.keep,
        redact=tuple(kind for kind in RedactionKind if kind.value in given.redact),
    )


def read_keywords(given: Sequence[KeywordSpec], limits: KeywordLimits, mistakes: list[str]) -> tuple[Keyword, ...]:
    """The phrases in their order, with one space between their words."""
    if len(given) > limits.max_keywords:
        mistakes.append(f"keywords may hold {limits.max_keywords} phrases, not {len(given)}")
        return ()
    phrases = [" ".join(spec.phrase.split()) for spec in given]
    unfit = [
        not (spec.phrase.isprintable() and 0 < len(phrase) <= limits.max_phrase_chars)
        for spec, phrase in zip(given, phrases, strict=True)
    ]
    if any(unfit):
        mistakes.append(f"{_places(unfit, 'phrase')} must be 1 to {limits.max_phrase_chars} printable characters")
    most = limits.max_boost_permille
    unfit = [not -most <= spec.boost_permille <= most for spec in given]
    if any(unfit):
        mistakes.append(f"{_places(unfit, 'boost_permille')} must be -{most} to {most}")
    first_place = {phrase: place for place, phrase in reversed(list(enumerate(phrases)))}
    unfit = [first_place[phrase] != place for place, phrase in enumerate(phrases)]
    if any(unfit):
        mistakes.append(f"{_places(unfit, 'phrase')} came before: give each phrase once")
    total_chars = sum(map(len, phrases))
    if total_chars > limits.max_total_chars:
        mistakes.append(f"keywords may hold {limits.max_total_chars} characters together, not {total_chars}")
    return tuple(Keyword(phrase, spec.boost_permille) for spec, phrase in zip(given, phrases, strict=True))


def _places(unfit: Sequence[bool], field: str) -> str:
    """`keywords[0].phrase, keywords[7].phrase`, of the places that are marked."""
    places = [f"keywords[{place}].{field}" for place, is_unfit in enumerate(unfit) if is_unfit]
    more = len(places) - _MAX_PLACES_NAMED
    return ", ".join(places[:_MAX_PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")


_REDACTION_NAMES = frozenset(kind.value for kind in RedactionKind)
_Name = TypeVar("_Name", bound=StrEnum)


def _named(names: type[_Name], name: str, option: str, mistakes: list[str]) -> _Name | None:
    try:
        return names(name)
    except ValueError:
        mistakes.append(f"{option} must be one of {', '.join(names)}")
        return None
