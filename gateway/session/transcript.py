"""What the client has been told: finals once, in order; nothing revised, nothing repeated.

Duplicates are recognised by their position on the audio clock, never by their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import SAMPLES_PER_MS, FinalResult, PartialResult, SpeechStarted
from gateway.wire.messages import FinalMessage, PartialMessage, SpeechStartedMessage, UtteranceEnd, WordMessage

if TYPE_CHECKING:
    from gateway.wire.messages import ServerMessage

_CONFIDENCE_DIGITS = 3


class Transcript:
    """Turns engine events into messages, dropping what the client already has."""

    __slots__ = ("_partial_end_sample", "_speech_seen_sample", "committed_sample")

    def __init__(self, start_sample: int = 0) -> None:
        self.committed_sample = start_sample
        self._partial_end_sample = start_sample
        self._speech_seen_sample = start_sample - 1

    @property
    def is_inside_speech(self) -> bool:
        """Whether somebody has begun to speak and is not final yet, whether or not the client wants partials."""
        return max(self._partial_end_sample - 1, self._speech_seen_sample) >= self.committed_sample

    def speech_started(self, event: SpeechStarted) -> list[ServerMessage]:
        if event.at_sample <= self._speech_seen_sample:
            return []
        self._speech_seen_sample = event.at_sample
        return [SpeechStartedMessage(at_ms=event.at_sample // SAMPLES_PER_MS)]

    def partial(self, event: PartialResult) -> list[ServerMessage]:
        if event.end_sample <= self._partial_end_sample:
            return []  # a replay on its way to what the client was shown before the loss
        if event.start_sample < self.committed_sample:
            return []  # of an utterance that is final; a standby that took over has not come to its end yet
        self._partial_end_sample = event.end_sample
        return [
            PartialMessage(
                text=event.text,
                start_ms=event.start_sample // SAMPLES_PER_MS,
                end_ms=event.end_sample // SAMPLES_PER_MS,
                stable_chars=event.stable_chars,
            )
        ]

    def final(self, event: FinalResult) -> list[ServerMessage]:
        """Commit a final that starts where the last one ended; without words it is only committed."""
        self.committed_sample = event.end_sample
        self._partial_end_sample = event.end_sample
        if not event.words:
            return []
        words = tuple(
            WordMessage(
                text=word.text,
                start_ms=word.start_sample // SAMPLES_PER_MS,
                end_ms=word.end_sample // SAMPLES_PER_MS,
                confidence=round(word.confidence, _CONFIDENCE_DIGITS),
            )
            for word in event.words
        )
        return [
            FinalMessage(text=event.text, start_ms=words[0].start_ms, end_ms=words[-1].end_ms, words=words),
            UtteranceEnd(at_ms=event.end_sample // SAMPLES_PER_MS, reason=event.reason.value),
        ]
