"""Which add-ons a session uses, as its bill names them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import Decoding, ProfanityHandling

if TYPE_CHECKING:
    from engines.interface import StreamOptions


def add_ons_of(options: StreamOptions) -> tuple[str, ...]:
    """In alphabetical order; the names that policies.rating knows."""
    text = options.text
    used = {
        "beam": options.decoding is Decoding.beam,
        "keywords": bool(options.keywords),
        "numerals": text.numerals,
        "profanity": text.profanity is not ProfanityHandling.keep,
        "punctuation": text.punctuation,
        "redaction": bool(text.redact),
    }
    return tuple(name for name in sorted(used) if used[name])
