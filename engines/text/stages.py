"""Which options of text have effect in which language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stages:
    """What can be done in one language; an option that cannot be done leaves the words as they are."""

    numerals: bool
    punctuation: bool
    profanity: bool
    spoken_redaction: bool
    """What is spelled out in words can be hidden: "four one one one", "john dot smith at example dot com"."""
    written_redaction: bool = True
    """What a model writes in digits and letters can be hidden: "4111 1111", "john@example.com"."""


_ENGLISH = Stages(numerals=True, punctuation=True, profanity=True, spoken_redaction=True)
_OTHERS = Stages(numerals=False, punctuation=False, profanity=False, spoken_redaction=False)


def stages_for(language: str) -> Stages:
    """Say what has effect for a BCP 47 tag: `en` and its regions have everything, others what needs no language."""
    return _ENGLISH if language.replace("_", "-").split("-", 1)[0].lower() == "en" else _OTHERS
