"""What a stream may ask of recognition, and what of it a model cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import Keyword, StreamOptions
    from engines.recognition.keywords import PieceIndex

MAX_KEYWORDS = 200
MAX_PHRASE_CHARACTERS = 100
MAX_CHARACTERS = 4_000
"""Of all phrases together. Their trie is built where the models run, at 5 us a character."""
MAX_BOOST_PERMILLE = 10_000
"""Ten nats a piece: beyond that a phrase is heard in anything that sounds remotely like it."""

MIN_TRAILING_SILENCE_MS = (100, 10_000)
MAX_SILENCE_WITHOUT_SPEECH_MS = (500, 60_000)
MAX_UTTERANCE_MS = (2_000, 60_000)
"""The ranges that endpointing was made for, both ends included."""

_SHOWN_CHARACTERS = 40


def endpointing_mistakes(options: StreamOptions) -> list[str]:
    """Say which durations lie outside their ranges."""
    durations = (
        ("min_trailing_silence_ms", options.min_trailing_silence_ms, MIN_TRAILING_SILENCE_MS),
        ("max_silence_without_speech_ms", options.max_silence_without_speech_ms, MAX_SILENCE_WITHOUT_SPEECH_MS),
        ("max_utterance_ms", options.max_utterance_ms, MAX_UTTERANCE_MS),
    )
    return [
        f"{name} must be {shortest} to {longest}, not {given}"
        for name, given, (shortest, longest) in durations
        if not shortest <= given <= longest
    ]


def keyword_mistakes(keywords: Sequence[Keyword], index: PieceIndex) -> list[str]:
    """Say which phrases are too many, too long, boosted too much, or cannot be spelled by the model."""
    if len(keywords) > MAX_KEYWORDS:
        return [f"there may be {MAX_KEYWORDS} keywords, not {len(keywords)}"]
    characters = sum(len(keyword.phrase) for keyword in keywords)
    if characters > MAX_CHARACTERS:
        return [f"keywords may have {MAX_CHARACTERS} characters together, not {characters}"]
    mistakes = []
    for number, keyword in enumerate(keywords, start=1):
        shown = repr(keyword.phrase[:_SHOWN_CHARACTERS])
        if len(keyword.phrase) > MAX_PHRASE_CHARACTERS:
            mistakes.append(f"keyword {number}, {shown}, may have {MAX_PHRASE_CHARACTERS} characters")
        elif index.spell(keyword.phrase) is None:
            mistakes.append(f"keyword {number}, {shown}, cannot be spelled with what the model writes")
        if abs(keyword.boost_permille) > MAX_BOOST_PERMILLE:
            mistakes.append(f"the boost of keyword {number} must be within {MAX_BOOST_PERMILLE}, either sign")
    return mistakes
