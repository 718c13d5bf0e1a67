"""A client's memory of what it was told, so that a session that goes on elsewhere repeats nothing to it. Pure.

What a gateway sent last may be repeated by the next one, if the `ack` behind it was lost. Repetitions are known by
their position, never by their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.wire.messages import AudioLost, FinalMessage, PartialMessage, SpeechStartedMessage, UtteranceEnd

if TYPE_CHECKING:
    from gateway.wire.messages import ServerMessage

_MOST_LOSSES = 1_024
"""That are remembered; more than a gateway holds of audio that is not final."""


class HeardOnce:
    """One a session, for all its connections."""

    def __init__(self) -> None:
        self._final_end_ms = 0
        self._utterance_end_ms = -1
        self._speech_ms = -1
        self._lost: list[tuple[int, int]] = []
        """What was told of it beyond the last final, in milliseconds; apart from each other, in order."""

    def take(self, message: ServerMessage) -> ServerMessage | None:
        """The message, or what is new in it; None: it was heard before."""
        match message:
            case FinalMessage():
                return self._final(message)
            case PartialMessage(end_ms=end_ms) if end_ms <= self._final_end_ms:
                return None
            case AudioLost(start_ms=start_ms, end_ms=end_ms):
                return self._loss(start_ms, end_ms)
            case UtteranceEnd(at_ms=at_ms):
                if at_ms <= self._utterance_end_ms:
                    return None
                self._utterance_end_ms = at_ms
            case SpeechStartedMessage(at_ms=at_ms):
                if at_ms <= self._speech_ms:
                    return None
                self._speech_ms = at_ms
        return message

    def _loss(self, start_ms: int, end_ms: int) -> AudioLost | None:
        """What was lost before may come at the next try, and what came before may be lost then."""
        start_ms = max(start_ms, self._final_end_ms)
        if start_ms >= end_ms:
            return None
        untold_ms, untold_end_ms = start_ms, end_ms
        apart: list[tuple[int, int]] = []
        for told_ms, told_end_ms in self._lost:
            if told_ms <= untold_ms < told_end_ms:
                untold_ms = told_end_ms
            if told_ms < untold_end_ms <= told_end_ms:
                untold_end_ms = told_ms
            if told_end_ms < start_ms or told_ms > end_ms:
                if told_end_ms > self._final_end_ms:
                    apart.append((told_ms, told_end_ms))
            else:
                start_ms, end_ms = min(start_ms, told_ms), max(end_ms, told_end_ms)
        self._lost = sorted([*apart, (start_ms, end_ms)])[-_MOST_LOSSES:]
        return AudioLost(untold_ms, untold_end_ms) if untold_ms < untold_end_ms else None

    def _final(self, final: FinalMessage) -> FinalMessage | None:
        heard_ms, self._final_end_ms = self._final_end_ms, max(self._final_end_ms, final.end_ms)
        if final.start_ms >= heard_ms:
            return final
        words = tuple(word for word in final.words if word.start_ms >= heard_ms)
        if not words:
            return None
        text = " ".join(word.text for word in words)
        return msgspec.structs.replace(final, text=text, start_ms=words[0].start_ms, words=words)
