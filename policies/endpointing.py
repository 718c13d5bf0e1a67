"""When an utterance ends: a rule over what has been heard of it so far."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EndpointReason(StrEnum):
    """Why an utterance ends of itself."""

    pause_after_speech = "pause_after_speech"
    silence_without_speech = "silence_without_speech"
    max_length = "max_length"


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """`max_silence_without_speech_ms` lets go of audio in which nobody speaks; the words are never waited for."""

    min_trailing_silence_ms: int
    max_utterance_ms: int
    max_silence_without_speech_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class UtteranceFacts:
    """`trailing_silence_ms`: since the last word or the last speech, whichever was later; all of it if none was."""

    has_words: bool
    trailing_silence_ms: int
    utterance_ms: int


def endpoint_reason(facts: UtteranceFacts, settings: EndpointSettings) -> EndpointReason | None:
    """Say why the utterance ends here, or None where it goes on.

    A pause comes before the length: where both are due, the pause is the better place to cut.
    """
    if facts.has_words and facts.trailing_silence_ms >= settings.min_trailing_silence_ms:
        return EndpointReason.pause_after_speech
    if not facts.has_words and facts.trailing_silence_ms >= settings.max_silence_without_speech_ms:
        return EndpointReason.silence_without_speech
    if facts.utterance_ms >= settings.max_utterance_ms:
        return EndpointReason.max_length
    return None
