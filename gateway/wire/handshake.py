"""From a client's `start` to a session request that the engines can be asked for, or every mistake in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engines.interface import StreamOptions
from gateway.errors import ClientFault, Reason
from gateway.wire.recognition_options import KeywordLimits, read_decoding, read_keywords, read_text
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
    min_no_speech_ms: int
    max_no_speech_ms: int
    default_no_speech_ms: int
    min_utterance_ms: int
    max_utterance_ms: int
    default_utterance_ms: int
    keywords: KeywordLimits


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a client asks for, in our own words. `token` is the one in the message, if any."""

    token: str | None
    audio: AudioFormat
    options: StreamOptions

    def __repr__(self) -> str:
        return f"SessionRequest(audio={self.audio})"  # never the token, nor phrases


def read_start(start: Start, limits: OptionLimits) -> SessionRequest:
    """Check everything a client asks for.

    Raises:
        ClientFault: bad_audio_format or bad_option; the detail lists every mistake of that kind.
    """
    audio = _read_audio(start)
    mistakes: list[str] = []
    options = StreamOptions(
        model=_name("model", start.model, mistakes),
        model_version=_name("model_version", start.model_version, mistakes),
        language=_name("language", start.language, mistakes),
        wants_partials=start.partials,
        min_trailing_silence_ms=_duration_ms(
            "endpointing.silence_ms",
            start.endpointing.silence_ms,
            _Range(limits.min_silence_ms, limits.max_silence_ms, limits.default_silence_ms),
            mistakes,
        ),
        max_silence_without_speech_ms=_duration_ms(
            "endpointing.no_speech_ms",
            start.endpointing.no_speech_ms,
            _Range(limits.min_no_speech_ms, limits.max_no_speech_ms, limits.default_no_speech_ms),
            mistakes,
        ),
        max_utterance_ms=_duration_ms(
            "max_utterance_ms",
            start.max_utterance_ms,
            _Range(limits.min_utterance_ms, limits.max_utterance_ms, limits.default_utterance_ms),
            mistakes,
        ),
        decoding=read_decoding(start.decoding, mistakes),
        keywords=read_keywords(start.keywords, limits.keywords, mistakes),
        text=read_text(start.text, mistakes),
    )
    if mistakes:
        raise ClientFault(Reason.bad_option, "; ".join(mistakes))
    return SessionRequest(token=start.token, audio=audio, options=options)


class _Range(NamedTuple):
    least: int
    most: int
    default: int


def _duration_ms(option: str, given: int | None, allowed: _Range, mistakes: list[str]) -> int:
    if given is None:
        return allowed.default
    if not allowed.least <= given <= allowed.most:
        mistakes.append(f"{option} must be {allowed.least} to {allowed.most}, not {given}")
    return given


def _name(option: str, given: str, mistakes: list[str]) -> str:
    if len(given) > _MAX_NAME_CHARS or not given.isprintable():
        mistakes.append(f"{option} must be at most {_MAX_NAME_CHARS} printable characters")
    return given


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
