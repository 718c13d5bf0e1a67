"""The nouns that rules and machines share: who calls and what audio they bring."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policies.residency.situation import NOTHING_STATED, Stated


class AudioEncoding(StrEnum):
    """How the client's bytes carry sound."""

    pcm_s16le = "pcm_s16le"
    pcm_f32le = "pcm_f32le"
    mulaw = "mulaw"
    alaw = "alaw"
    opus = "opus"
    """One Opus packet a message, without a container."""
    flac = "flac"
    """A native FLAC stream, cut anywhere."""
    ogg_opus = "ogg_opus"
    webm_opus = "webm_opus"
    wav = "wav"
    mp3 = "mp3"

    @property
    def is_raw(self) -> bool:
        """Whether the samples lie in the message as they are; then a message must hold whole samples."""
        return self in _RAW_BYTES_PER_SAMPLE

    @property
    def is_self_describing(self) -> bool:
        """Whether the stream itself says its sample rate and channels."""
        return self in _SELF_DESCRIBING

    @property
    def bytes_per_sample(self) -> int:
        """Of one channel. Raises KeyError for encodings that are not raw."""
        return _RAW_BYTES_PER_SAMPLE[self]


_RAW_BYTES_PER_SAMPLE = {
    AudioEncoding.pcm_s16le: 2,
    AudioEncoding.pcm_f32le: 4,
    AudioEncoding.mulaw: 1,
    AudioEncoding.alaw: 1,
}
_SELF_DESCRIBING = frozenset(
    {AudioEncoding.flac, AudioEncoding.ogg_opus, AudioEncoding.webm_opus, AudioEncoding.wav, AudioEncoding.mp3}
)

MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 48_000
MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a client says its audio is. `channel` is the one that is recognised, counted from 0.

    `sample_rate_hz` and `channels` say nothing for encodings that describe themselves.
    """

    encoding: AudioEncoding
    sample_rate_hz: int
    channels: int
    channel: int

    def mistakes(self) -> list[str]:
        """Each a sentence for the client that says what was expected; none for a format that can be read."""
        found = []
        if not self.encoding.is_self_describing and not (
            MIN_SAMPLE_RATE_HZ <= self.sample_rate_hz <= MAX_SAMPLE_RATE_HZ
        ):
            found.append(
                f"sample_rate_hz must be {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ}, not {self.sample_rate_hz}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            found.append(f"channels must be 1 to {MAX_CHANNELS}, not {self.channels}")
        elif not 0 <= self.channel < self.channels:
            found.append(f"channel must be 0 to {self.channels - 1} for {self.channels} channels, not {self.channel}")
        return found

    @property
    def bytes_per_instant(self) -> int:
        """Bytes of one sample of every channel; raw messages must be whole multiples of it."""
        return self.encoding.bytes_per_sample * self.channels


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """What tells a token from others, without a piece of its text. `jti_hash`: SHA-256 of its `jti`, in hexadecimal;
    empty where it has none. `issued_at_s`: Unix seconds.
    """

    issuer: str = ""
    jti_hash: str = ""
    issued_at_s: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified token says is calling."""

    tenant: str
    project: str
    subject: str
    plan: str
    scopes: frozenset[str]
    residency_profile: str
    expires_at_s: int
    """Unix seconds; the session may not outlive it."""
    token: TokenIdentity = TokenIdentity()
    stated: Stated = NOTHING_STATED
    """What the token says about the speech and who speaks."""
