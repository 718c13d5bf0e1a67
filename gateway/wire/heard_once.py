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


class HeardOnce:
    """One a session, for all its connections."""

    def __init__(self) -> None:
        self._final_end_ms = 0
        self._utterance_end_ms = -1
        self._speech_ms = -1
        self._lost_end_ms = 0

    def take(self, message: ServerMessage) -> ServerMessage | None:
        """The message, or what is new in it; None: it was heard before."""
        match message:
            case FinalMessage():
                return self._final(message)
            case PartialMessage(end_ms=end_ms) if end_ms <= self._final_end_ms:
                return None
            case AudioLost(start_ms=start_ms, end_ms=end_ms):
                heard_ms, self._lost_end_ms = self._lost_end_ms, max(self._lost_end_ms, end_ms)
                return AudioLost(max(start_ms, heard_ms), end_ms) if end_ms > heard_ms else None
            case UtteranceEnd(at_ms=at_ms):
                if at_ms <= self._utterance_end_ms:
                    return None
                self._utterance_end_ms = at_ms
            case SpeechStartedMessage(at_ms=at_ms):
                if at_ms <= self._speech_ms:
                    return None
                self._speech_ms = at_ms
        return message

    def _final(self, final: FinalMessage) -> FinalMessage | None:
        heard_ms, self._final_end_ms = self._final_end_ms, max(self._final_end_ms, final.end_ms)
        if final.start_ms >= heard_ms:
            return final
        words = tuple(word for word in final.words if word.start_ms >= heard_ms)
        if not words:
            return None
        text = " ".join(word.text for word in words)
        return msgspec.structs.replace(final, text=text, start_ms=words[0].start_ms, words=words)
