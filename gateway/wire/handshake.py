"""From a client's `start` to a session request that the engines can be asked for, or every mistake in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from engines.interface import SAMPLES_PER_MS, StreamOptions
from gateway.errors import ClientFault, Reason
from gateway.wire.option_digests import option_digests
from gateway.wire.recognition_options import KeywordLimits, read_decoding, read_keywords, read_text
from gateway.wire.stated import read_stated
from policies.facts import AudioEncoding, AudioFormat
from policies.residency.situation import NOTHING_STATED, Stated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.wire.messages import Resume, Start

_MAX_NAME_CHARS = 128
_MAX_SAMPLE = 1 << 40
"""Two years of audio."""
_MAX_RESUME_TOKEN_CHARS = 4_096


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
class ResumeRequest:
    """Which session goes on, and from where: see gateway.wire.messages.Resume. `skipped_samples`: so much of the audio
    that follows lies before `from_sample`.
    """

    token: str
    from_sample: int
    skipped_samples: int

    def __repr__(self) -> str:
        return f"ResumeRequest(from_sample={self.from_sample}, skipped_samples={self.skipped_samples})"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a client asks for, in our own words. `token` is the one in the message, if any; `option_digests` as in
    gateway.wire.option_digests.
    """

    token: str | None
    audio: AudioFormat
    options: StreamOptions
    resume: ResumeRequest | None = None
    option_digests: Mapping[str, str] = field(default_factory=dict)
    stated: Stated = NOTHING_STATED

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
    resume = None if start.resume is None else _read_resume(start.resume, mistakes)
    stated = read_stated(start.residency, mistakes)
    if mistakes:
        raise ClientFault(Reason.bad_option, "; ".join(mistakes))
    return SessionRequest(
        token=start.token,
        audio=audio,
        options=options,
        resume=resume,
        option_digests=option_digests(start),
        stated=stated,
    )


def _read_resume(resume: Resume, mistakes: list[str]) -> ResumeRequest:
    if not 0 < len(resume.token) <= _MAX_RESUME_TOKEN_CHARS:
        mistakes.append(f"resume.token must have 1 to {_MAX_RESUME_TOKEN_CHARS} characters")
    if not 0 <= resume.from_sample <= _MAX_SAMPLE:
        mistakes.append(f"resume.from_sample must be 0 to {_MAX_SAMPLE}, not {resume.from_sample}")
    audio_from_ms = resume.audio_from_ms
    if audio_from_ms is None:
        return ResumeRequest(resume.token, resume.from_sample, 0)
    if not 0 <= audio_from_ms * SAMPLES_PER_MS <= resume.from_sample:
        mistakes.append(
            f"resume.audio_from_ms must be 0 to {resume.from_sample // SAMPLES_PER_MS}, where from_sample lies, "
            f"not {audio_from_ms}"
        )
    return ResumeRequest(resume.token, resume.from_sample, resume.from_sample - audio_from_ms * SAMPLES_PER_MS)


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
