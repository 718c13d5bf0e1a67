from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientMessage(_message.Message):
    __slots__ = ("start", "audio", "finalize", "finish", "keepalive", "gap")
    START_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVE_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    start: Start
    audio: bytes
    finalize: Finalize
    finish: Finish
    keepalive: KeepAlive
    gap: Gap
    def __init__(self, start: _Optional[_Union[Start, _Mapping]] = ..., audio: _Optional[bytes] = ..., finalize: _Optional[_Union[Finalize, _Mapping]] = ..., finish: _Optional[_Union[Finish, _Mapping]] = ..., keepalive: _Optional[_Union[KeepAlive, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("token", "audio", "language", "model", "partials", "endpointing", "max_utterance_ms", "model_version", "decoding", "keywords", "text", "resume", "residency")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARTIALS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTING_FIELD_NUMBER: _ClassVar[int]
    MAX_UTTERANCE_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DECODING_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    RESIDENCY_FIELD_NUMBER: _ClassVar[int]
    token: str
    audio: AudioSpec
    language: str
    model: str
    partials: bool
    endpointing: Endpointing
    max_utterance_ms: int
    model_version: str
    decoding: str
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    text: Text
    resume: Resume
    residency: Residency
    def __init__(self, token: _Optional[str] = ..., audio: _Optional[_Union[AudioSpec, _Mapping]] = ..., language: _Optional[str] = ..., model: _Optional[str] = ..., partials: _Optional[bool] = ..., endpointing: _Optional[_Union[Endpointing, _Mapping]] = ..., max_utterance_ms: _Optional[int] = ..., model_version: _Optional[str] = ..., decoding: _Optional[str] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., residency: _Optional[_Union[Residency, _Mapping]] = ...) -> None: ...

class Residency(_message.Message):
    __slots__ = ("data_class", "subject_country", "consent", "legal_basis", "subject_id")
    DATA_CLASS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_COUNTRY_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASIS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    data_class: str
    subject_country: str
    consent: bool
    legal_basis: str
    subject_id: str
    def __init__(self, data_class: _Optional[str] = ..., subject_country: _Optional[str] = ..., consent: _Optional[bool] = ..., legal_basis: _Optional[str] = ..., subject_id: _Optional[str] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("token", "from_sample", "audio_from_ms")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FROM_MS_FIELD_NUMBER: _ClassVar[int]
    token: str
    from_sample: int
    audio_from_ms: int
    def __init__(self, token: _Optional[str] = ..., from_sample: _Optional[int] = ..., audio_from_ms: _Optional[int] = ...) -> None: ...

class AudioSpec(_message.Message):
    __slots__ = ("encoding", "sample_rate_hz", "channels", "channel")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    encoding: str
    sample_rate_hz: int
    channels: int
    channel: int
    def __init__(self, encoding: _Optional[str] = ..., sample_rate_hz: _Optional[int] = ..., channels: _Optional[int] = ..., channel: _Optional[int] = ...) -> None: ...

class Endpointing(_message.Message):
    __slots__ = ("silence_ms", "no_speech_ms")
    SILENCE_MS_FIELD_NUMBER: _ClassVar[int]
    NO_SPEECH_MS_FIELD_NUMBER: _ClassVar[int]
    silence_ms: int
    no_speech_ms: int
    def __init__(self, silence_ms: _Optional[int] = ..., no_speech_ms: _Optional[int] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("phrase", "boost_permille")
    PHRASE_FIELD_NUMBER: _ClassVar[int]
    BOOST_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    phrase: str
    boost_permille: int
    def __init__(self, phrase: _Optional[str] = ..., boost_permille: _Optional[int] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("numerals", "punctuation", "profanity", "redact")
    NUMERALS_FIELD_NUMBER: _ClassVar[int]
    PUNCTUATION_FIELD_NUMBER: _ClassVar[int]
    PROFANITY_FIELD_NUMBER: _ClassVar[int]
    REDACT_FIELD_NUMBER: _ClassVar[int]
    numerals: bool
    punctuation: bool
    profanity: str
    redact: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, numerals: _Optional[bool] = ..., punctuation: _Optional[bool] = ..., profanity: _Optional[str] = ..., redact: _Optional[_Iterable[str]] = ...) -> None: ...

class Finalize(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: int
    def __init__(self, samples: _Optional[int] = ...) -> None: ...

class Finish(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeepAlive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("started", "speech_started", "partial", "final", "utterance_end", "ack", "migrated", "usage", "error", "finished", "audio_lost")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_STARTED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_END_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    MIGRATED_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    AUDIO_LOST_FIELD_NUMBER: _ClassVar[int]
    started: Started
    speech_started: SpeechStarted
    partial: Partial
    final: Final
    utterance_end: UtteranceEnd
    ack: Ack
    migrated: Migrated
    usage: Usage
    error: Error
    finished: Finished
    audio_lost: AudioLost
    def __init__(self, started: _Optional[_Union[Started, _Mapping]] = ..., speech_started: _Optional[_Union[SpeechStarted, _Mapping]] = ..., partial: _Optional[_Union[Partial, _Mapping]] = ..., final: _Optional[_Union[Final, _Mapping]] = ..., utterance_end: _Optional[_Union[UtteranceEnd, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., migrated: _Optional[_Union[Migrated, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., audio_lost: _Optional[_Union[AudioLost, _Mapping]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("session_id", "model", "model_version", "region", "protocol_version", "resume_token", "resume_at", "resumed_from_sample", "engine_region")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESUME_AT_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_REGION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    model: str
    model_version: str
    region: str
    protocol_version: int
    resume_token: str
    resume_at: _containers.RepeatedScalarFieldContainer[str]
    resumed_from_sample: int
    engine_region: str
    def __init__(self, session_id: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., region: _Optional[str] = ..., protocol_version: _Optional[int] = ..., resume_token: _Optional[str] = ..., resume_at: _Optional[_Iterable[str]] = ..., resumed_from_sample: _Optional[int] = ..., engine_region: _Optional[str] = ...) -> None: ...

class SpeechStarted(_message.Message):
    __slots__ = ("at_ms",)
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    def __init__(self, at_ms: _Optional[int] = ...) -> None: ...

class Partial(_message.Message):
    __slots__ = ("text", "start_ms", "end_ms", "stable_chars")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    STABLE_CHARS_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_ms: int
    end_ms: int
    stable_chars: int
    def __init__(self, text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., stable_chars: _Optional[int] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "start_ms", "end_ms", "confidence")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_ms: int
    end_ms: int
    confidence: float
    def __init__(self, text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., confidence: _Optional[float] = ...) -> None: ...

class Final(_message.Message):
    __slots__ = ("text", "start_ms", "end_ms", "words")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_ms: int
    end_ms: int
    words: _containers.RepeatedCompositeFieldContainer[Word]
    def __init__(self, text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ...) -> None: ...

class UtteranceEnd(_message.Message):
    __slots__ = ("at_ms", "reason")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    reason: str
    def __init__(self, at_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("audio_ms", "finalized", "sample")
    AUDIO_MS_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    audio_ms: int
    finalized: _containers.RepeatedScalarFieldContainer[str]
    sample: int
    def __init__(self, audio_ms: _Optional[int] = ..., finalized: _Optional[_Iterable[str]] = ..., sample: _Optional[int] = ...) -> None: ...

class AudioLost(_message.Message):
    __slots__ = ("start_ms", "end_ms")
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    start_ms: int
    end_ms: int
    def __init__(self, start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ...) -> None: ...

class Migrated(_message.Message):
    __slots__ = ("reason", "replayed_ms", "pause_elapsed_ms", "model_version", "engine_region")
    REASON_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_MS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_REGION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    replayed_ms: int
    pause_elapsed_ms: int
    model_version: str
    engine_region: str
    def __init__(self, reason: _Optional[str] = ..., replayed_ms: _Optional[int] = ..., pause_elapsed_ms: _Optional[int] = ..., model_version: _Optional[str] = ..., engine_region: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("audio_ms", "compute_us", "remaining_us", "level", "is_throttled", "retry_after_ms")
    AUDIO_MS_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_US_FIELD_NUMBER: _ClassVar[int]
    REMAINING_US_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    IS_THROTTLED_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    audio_ms: int
    compute_us: int
    remaining_us: int
    level: str
    is_throttled: bool
    retry_after_ms: int
    def __init__(self, audio_ms: _Optional[int] = ..., compute_us: _Optional[int] = ..., remaining_us: _Optional[int] = ..., level: _Optional[str] = ..., is_throttled: _Optional[bool] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("reason", "message", "retryable", "retry_after_ms", "level", "gateways")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    retryable: bool
    retry_after_ms: int
    level: str
    gateways: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ..., retry_after_ms: _Optional[int] = ..., level: _Optional[str] = ..., gateways: _Optional[_Iterable[str]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("audio_ms",)
    AUDIO_MS_FIELD_NUMBER: _ClassVar[int]
    audio_ms: int
    def __init__(self, audio_ms: _Optional[int] = ...) -> None: ...
