"""From a client's `start` to a session request that the engines can be asked for, or every mistake in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.interface import StreamOptions
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding, AudioFormat

if TYPE_CHECKING:
    from gateway.wire.messages import Start

_MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class OptionLimits:
    """What a client may ask for; milliseconds of audio."""

    min_silence_ms: int
    max_silence_ms: int
    default_silence_ms: int
    min_utterance_ms: int
    max_utterance_ms: int
    default_utterance_ms: int


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a client asks for, in our own words. `token` is the one in the message, if any."""

    token: str | None
    audio: AudioFormat
    options: StreamOptions

    def __repr__(self) -> str:
        return f"SessionRequest(audio={self.audio}, options={self.options})"  # never the token


def read_start(start: Start, limits: OptionLimits) -> SessionRequest:
    """Check everything a client asks for.

    Raises:
        ClientFault: bad_audio_format or bad_option; the detail lists every mistake of that kind.
    """
    audio = _read_audio(start)
    silence_ms = start.endpointing.silence_ms
    utterance_ms = start.max_utterance_ms
    mistakes = []
    if silence_ms is not None and not limits.min_silence_ms <= silence_ms <= limits.max_silence_ms:
        mistakes.append(
            f"endpointing.silence_ms must be {limits.min_silence_ms} to {limits.max_silence_ms}, not {silence_ms}"
        )
    if utterance_ms is not None and not limits.min_utterance_ms <= utterance_ms <= limits.max_utterance_ms:
        mistakes.append(
            f"max_utterance_ms must be {limits.min_utterance_ms} to {limits.max_utterance_ms}, not {utterance_ms}"
        )
    for name, value in (("model", start.model), ("language", start.language)):
        if len(value) > _MAX_NAME_CHARS or not value.isprintable():
            mistakes.append(f"{name} must be at most {_MAX_NAME_CHARS} printable characters")
    if mistakes:
        raise ClientFault(Reason.bad_option, "; ".join(mistakes))
    return SessionRequest(
        token=start.token,
        audio=audio,
        options=StreamOptions(
            model=start.model,
            language=start.language,
            wants_partials=start.partials,
            min_trailing_silence_ms=limits.default_silence_ms if silence_ms is None else silence_ms,
            max_utterance_ms=limits.default_utterance_ms if utterance_ms is None else utterance_ms,
        ),
    )


def _read_audio(start: Start) -> AudioFormat:
    spec = start.audio
    try:
        encoding = AudioEncoding(spec.encoding)
    except ValueError:
        known = ", ".join(AudioEncoding)
        raise ClientFault(Reason.bad_audio_format, f"audio.encoding must be one of {known}") from None
    audio = AudioFormat(
        encoding=encoding,
        sample_rate_hz=spec.sample_rate_hz,
        channels=spec.channels,
        channel=spec.channel,
    )
    mistakes = audio.mistakes()
    if mistakes:
        raise ClientFault(Reason.bad_audio_format, "; ".join(f"audio.{mistake}" for mistake in mistakes))
    return audio
