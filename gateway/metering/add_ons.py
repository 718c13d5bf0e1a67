"""Which add-ons a session uses, as its bill names them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import Decoding, ProfanityHandling
from policies.rating import AddOn

if TYPE_CHECKING:
    from engines.interface import StreamOptions


def add_ons_of(options: StreamOptions) -> tuple[str, ...]:
    """In alphabetical order; the names of policies.rating.AddOn."""
    text = options.text
    used = {
        AddOn.beam: options.decoding is Decoding.beam,
        AddOn.keywords: bool(options.keywords),
        AddOn.numerals: text.numerals,
        AddOn.profanity: text.profanity is not ProfanityHandling.keep,
        AddOn.punctuation: text.punctuation,
        AddOn.redaction: bool(text.redact),
    }
    return tuple(sorted(add_on.value for add_on in AddOn if used[add_on]))
