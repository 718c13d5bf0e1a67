"""The native protocol's messages: a closed union for each direction, the same over WebSocket, gRPC and WebTransport.

Times are integer milliseconds of audio since the session's first sample (`_ms` without another word), except where a
name says `elapsed`. A final is never revised; finals come in order and do not overlap.
"""

from __future__ import annotations

from typing import Literal

import msgspec

PROTOCOL_VERSION = 1
MAX_GAP_MS = 60_000
"""The longest that one `gap` may say; several may follow each other."""


class AudioSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the client's audio is; see policies.facts.AudioFormat."""

    encoding: str = "pcm_s16le"
    sample_rate_hz: int = 16_000
    channels: int = 1
    channel: int = 0


class Endpointing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a pause ends an utterance; `no_speech_ms`: when audio in which nobody speaks is let go."""

    silence_ms: int | None = None
    no_speech_ms: int | None = None


class KeywordSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phrase to listen for; see engines.interface.Keyword."""

    phrase: str
    boost_permille: int = 2_000


class TextSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How words are written; see engines.interface.TextOptions."""

    numerals: bool = False
    punctuation: bool = False
    profanity: str = "keep"
    redact: tuple[str, ...] = ()


class Resume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go on with a session whose connection or gateway was lost.

    Attributes:
        token: the `resume_token` of its `started`, or of its last `ack` that had one.
        from_sample: `sample` of the last `ack` received, 0 before the first. All finals before it are there; all audio
            from it on is sent again.
        audio_from_ms: where the audio that follows begins, at or before `from_sample`: for encodings that cannot be cut
            anywhere. What lies before `from_sample` is dropped. Left out: exactly at `from_sample`.
    """

    token: str
    from_sample: int
    audio_from_ms: int | None = None


class ResidencySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is spoken about, and who speaks: it can make policy stricter and never laxer than the token and its project
    do (policies.residency.situation).

    Attributes:
        subject_country: ISO 3166-1 alpha-2.
        subject_id: the speaker in the caller's own numbering, by which stored words of his are erased.
    """

    data_class: str = ""
    subject_country: str = ""
    consent: bool | None = None
    legal_basis: str = ""
    subject_id: str = ""


class Start(msgspec.Struct, frozen=True, tag="start", kw_only=True, forbid_unknown_fields=True):
    """Must come first. `token` may be left out when the transport carried one."""

    token: str | None = None
    audio: AudioSpec = AudioSpec()
    language: str = ""
    model: str = ""
    partials: bool = True
    endpointing: Endpointing = Endpointing()
    max_utterance_ms: int | None = None
    model_version: str = ""
    decoding: str = "greedy"
    keywords: tuple[KeywordSpec, ...] = ()
    text: TextSpec = TextSpec()
    resume: Resume | None = None
    residency: ResidencySpec = ResidencySpec()


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """Bytes in the announced encoding. Over WebSocket a binary message, without JSON around it."""

    data: bytes


class Gap(msgspec.Struct, frozen=True, tag="gap", forbid_unknown_fields=True):
    """So many samples of the client's audio are lost here, at the announced rate and of one channel: nobody has them.

    They count as audio, and the session goes on behind them; it hears silence there.
    """

    samples: int


class Finalize(msgspec.Struct, frozen=True, tag="finalize", forbid_unknown_fields=True):
    """Make all audio sent before this final; an `ack` that carries `id` says that it is done."""

    id: str = ""


class Finish(msgspec.Struct, frozen=True, tag="finish", forbid_unknown_fields=True):
    """No audio follows: recognise what was sent, send the last finals, close."""


class KeepAlive(msgspec.Struct, frozen=True, tag="keepalive", forbid_unknown_fields=True):
    """The client is there and has nothing to say; no silence need be sent."""


ClientMessage = Start | Audio | Gap | Finalize | Finish | KeepAlive


class WordMessage(msgspec.Struct, frozen=True):
    text: str
    start_ms: int
    end_ms: int
    confidence: float


class Started(msgspec.Struct, frozen=True, tag="started", kw_only=True, omit_defaults=True):
    """`resume_token`: shows who may go on with the session elsewhere; empty where it cannot be resumed. `resume_at`:
    gateways that may take it up, best first. `resumed_from_sample`: audio from here on is recognised (again); absent in
    a session that begins. `region` ends the connection; `engine_region` recognises, absent where it is the same.
    """

    session_id: str
    model: str
    model_version: str
    region: str
    protocol_version: int
    resume_token: str = ""
    resume_at: tuple[str, ...] = ()
    resumed_from_sample: int | None = None
    engine_region: str = ""


class SpeechStartedMessage(msgspec.Struct, frozen=True, tag="speech_started"):
    at_ms: int


class PartialMessage(msgspec.Struct, frozen=True, tag="partial"):
    """The utterance so far; its first `stable_chars` characters will not change."""

    text: str
    start_ms: int
    end_ms: int
    stable_chars: int


class FinalMessage(msgspec.Struct, frozen=True, tag="final"):
    text: str
    start_ms: int
    end_ms: int
    words: tuple[WordMessage, ...]


class UtteranceEnd(msgspec.Struct, frozen=True, tag="utterance_end"):
    """An utterance with words ended at `at_ms`; `reason` is an engines.interface.EndReason."""

    at_ms: int
    reason: str


class Ack(msgspec.Struct, frozen=True, tag="ack", omit_defaults=True):
    """All audio before `audio_ms` is committed: its finals are out and it need not be kept.

    `finalized`: the ids of the `finalize` requests that this completes. `sample`: the same place exactly, in samples at
    16 kHz; it is what a client that resumes sends.
    """

    audio_ms: int
    finalized: tuple[str, ...] = ()
    sample: int = 0


class AudioLost(msgspec.Struct, frozen=True, tag="audio_lost"):
    """No word of what was spoken there is known: it was lost on its way. Silence is recognised in its place."""

    start_ms: int
    end_ms: int


class Migrated(msgspec.Struct, frozen=True, tag="migrated", omit_defaults=True):
    """The session moved to another engine after `reason`; `replayed_ms` of audio was sent again. Nothing is lost.

    `model_version` is what recognises from here on; another one than before only where nothing was sent again.
    `engine_region`: where; absent where it is the region that ends the connection.
    """

    reason: str
    replayed_ms: int
    pause_elapsed_ms: int
    model_version: str = ""
    engine_region: str = ""


class Usage(msgspec.Struct, frozen=True, tag="usage", omit_defaults=True):
    """What the session was charged for so far, and what its plan has left.

    `remaining_us`: at `level` (key, project or org), the one with the least; absent where nothing limits it, or while
    that is not known. `is_throttled`: audio waits for compute, for about `retry_after_ms`.
    """

    audio_ms: int
    compute_us: int
    remaining_us: int | None = None
    level: str | None = None
    is_throttled: bool = False
    retry_after_ms: int | None = None


class ErrorMessage(msgspec.Struct, frozen=True, tag="error", kw_only=True):
    """Why the session ends. `reason` is one of gateway.errors.Reason (docs/errors.md).

    `level`: whose limit refused, where one did: key, project, org or address. `gateways`: where the session may be
    opened instead, nearest first, when this gateway may not have it.
    """

    reason: str
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    level: str | None = None
    gateways: tuple[str, ...] = ()


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The last message of a session that ended as the client asked."""

    audio_ms: int


ServerMessage = (
    Started
    | SpeechStartedMessage
    | PartialMessage
    | FinalMessage
    | UtteranceEnd
    | Ack
    | AudioLost
    | Migrated
    | Usage
    | ErrorMessage
    | Finished
)

SERVER_MESSAGE_TYPES: tuple[type[ServerMessage], ...] = (
    Started,
    SpeechStartedMessage,
    PartialMessage,
    FinalMessage,
    UtteranceEnd,
    Ack,
    AudioLost,
    Migrated,
    Usage,
    ErrorMessage,
    Finished,
)

ClientMessageType = Literal["start", "audio", "gap", "finalize", "finish", "keepalive"]
