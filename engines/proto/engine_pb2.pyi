from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToEngine(_message.Message):
    __slots__ = ("hello", "commands", "ping")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    commands: _containers.RepeatedCompositeFieldContainer[StreamCommand]
    ping: Ping
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., commands: _Optional[_Iterable[_Union[StreamCommand, _Mapping]]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("sequence", "unix_ms")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    unix_ms: int
    def __init__(self, sequence: _Optional[int] = ..., unix_ms: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("gateway", "protocol_version", "heartbeat_interval_ms")
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    gateway: str
    protocol_version: int
    heartbeat_interval_ms: int
    def __init__(self, gateway: _Optional[str] = ..., protocol_version: _Optional[int] = ..., heartbeat_interval_ms: _Optional[int] = ...) -> None: ...

class StreamCommand(_message.Message):
    __slots__ = ("stream_id", "open", "audio", "finalize", "finish", "cancel")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    stream_id: int
    open: Open
    audio: bytes
    finalize: Cut
    finish: Cut
    cancel: Cancel
    def __init__(self, stream_id: _Optional[int] = ..., open: _Optional[_Union[Open, _Mapping]] = ..., audio: _Optional[bytes] = ..., finalize: _Optional[_Union[Cut, _Mapping]] = ..., finish: _Optional[_Union[Cut, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("session_id", "tenant", "epoch", "start_sample", "model", "language", "wants_partials", "min_trailing_silence_ms", "max_utterance_ms", "model_version", "max_silence_without_speech_ms", "decoding", "keywords", "text", "tier", "is_replay", "grant", "capacity_classes")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    WANTS_PARTIALS_FIELD_NUMBER: _ClassVar[int]
    MIN_TRAILING_SILENCE_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_UTTERANCE_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_SILENCE_WITHOUT_SPEECH_MS_FIELD_NUMBER: _ClassVar[int]
    DECODING_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    IS_REPLAY_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASSES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    tenant: str
    epoch: int
    start_sample: int
    model: str
    language: str
    wants_partials: bool
    min_trailing_silence_ms: int
    max_utterance_ms: int
    model_version: str
    max_silence_without_speech_ms: int
    decoding: str
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    text: TextOptions
    tier: str
    is_replay: bool
    grant: bytes
    capacity_classes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_id: _Optional[str] = ..., tenant: _Optional[str] = ..., epoch: _Optional[int] = ..., start_sample: _Optional[int] = ..., model: _Optional[str] = ..., language: _Optional[str] = ..., wants_partials: _Optional[bool] = ..., min_trailing_silence_ms: _Optional[int] = ..., max_utterance_ms: _Optional[int] = ..., model_version: _Optional[str] = ..., max_silence_without_speech_ms: _Optional[int] = ..., decoding: _Optional[str] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., text: _Optional[_Union[TextOptions, _Mapping]] = ..., tier: _Optional[str] = ..., is_replay: _Optional[bool] = ..., grant: _Optional[bytes] = ..., capacity_classes: _Optional[_Iterable[str]] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("phrase", "boost_permille")
    PHRASE_FIELD_NUMBER: _ClassVar[int]
    BOOST_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    phrase: str
    boost_permille: int
    def __init__(self, phrase: _Optional[str] = ..., boost_permille: _Optional[int] = ...) -> None: ...

class TextOptions(_message.Message):
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

class Cut(_message.Message):
    __slots__ = ("at_sample",)
    AT_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    at_sample: int
    def __init__(self, at_sample: _Optional[int] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FromEngine(_message.Message):
    __slots__ = ("load", "events", "pong", "region")
    LOAD_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    load: Load
    events: _containers.RepeatedCompositeFieldContainer[StreamEvent]
    pong: Pong
    region: RegionStatus
    def __init__(self, load: _Optional[_Union[Load, _Mapping]] = ..., events: _Optional[_Iterable[_Union[StreamEvent, _Mapping]]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., region: _Optional[_Union[RegionStatus, _Mapping]] = ...) -> None: ...

class RegionStatus(_message.Message):
    __slots__ = ("region", "state", "free_slots_of_tier", "live_permille", "spot_permille", "lag_ms", "move_gap_ms", "is_stopped", "free_slots_of_class")
    class FreeSlotsOfTierEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class FreeSlotsOfClassEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    REGION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_OF_TIER_FIELD_NUMBER: _ClassVar[int]
    LIVE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    SPOT_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    LAG_MS_FIELD_NUMBER: _ClassVar[int]
    MOVE_GAP_MS_FIELD_NUMBER: _ClassVar[int]
    IS_STOPPED_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_OF_CLASS_FIELD_NUMBER: _ClassVar[int]
    region: str
    state: str
    free_slots_of_tier: _containers.ScalarMap[str, int]
    live_permille: int
    spot_permille: int
    lag_ms: int
    move_gap_ms: int
    is_stopped: bool
    free_slots_of_class: _containers.ScalarMap[str, int]
    def __init__(self, region: _Optional[str] = ..., state: _Optional[str] = ..., free_slots_of_tier: _Optional[_Mapping[str, int]] = ..., live_permille: _Optional[int] = ..., spot_permille: _Optional[int] = ..., lag_ms: _Optional[int] = ..., move_gap_ms: _Optional[int] = ..., is_stopped: _Optional[bool] = ..., free_slots_of_class: _Optional[_Mapping[str, int]] = ...) -> None: ...

class StreamEvent(_message.Message):
    __slots__ = ("stream_id", "epoch", "granted", "refused", "progress", "speech_started", "partial", "final", "lost", "move_away")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SPEECH_STARTED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    MOVE_AWAY_FIELD_NUMBER: _ClassVar[int]
    stream_id: int
    epoch: int
    granted: Granted
    refused: Refused
    progress: Progress
    speech_started: SpeechStarted
    partial: Partial
    final: Final
    lost: Lost
    move_away: MoveAway
    def __init__(self, stream_id: _Optional[int] = ..., epoch: _Optional[int] = ..., granted: _Optional[_Union[Granted, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., speech_started: _Optional[_Union[SpeechStarted, _Mapping]] = ..., partial: _Optional[_Union[Partial, _Mapping]] = ..., final: _Optional[_Union[Final, _Mapping]] = ..., lost: _Optional[_Union[Lost, _Mapping]] = ..., move_away: _Optional[_Union[MoveAway, _Mapping]] = ...) -> None: ...

class Granted(_message.Message):
    __slots__ = ("model", "model_version", "window_samples")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    window_samples: int
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., window_samples: _Optional[int] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason", "retry_after_ms", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry_after_ms: int
    detail: str
    def __init__(self, reason: _Optional[str] = ..., retry_after_ms: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("audio_through_sample", "compute_us")
    AUDIO_THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_US_FIELD_NUMBER: _ClassVar[int]
    audio_through_sample: int
    compute_us: int
    def __init__(self, audio_through_sample: _Optional[int] = ..., compute_us: _Optional[int] = ...) -> None: ...

class SpeechStarted(_message.Message):
    __slots__ = ("at_sample",)
    AT_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    at_sample: int
    def __init__(self, at_sample: _Optional[int] = ...) -> None: ...

class Partial(_message.Message):
    __slots__ = ("start_sample", "end_sample", "text", "stable_chars")
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STABLE_CHARS_FIELD_NUMBER: _ClassVar[int]
    start_sample: int
    end_sample: int
    text: str
    stable_chars: int
    def __init__(self, start_sample: _Optional[int] = ..., end_sample: _Optional[int] = ..., text: _Optional[str] = ..., stable_chars: _Optional[int] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "start_sample", "end_sample", "confidence")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_sample: int
    end_sample: int
    confidence: float
    def __init__(self, text: _Optional[str] = ..., start_sample: _Optional[int] = ..., end_sample: _Optional[int] = ..., confidence: _Optional[float] = ...) -> None: ...

class Final(_message.Message):
    __slots__ = ("start_sample", "end_sample", "text", "words", "reason")
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    start_sample: int
    end_sample: int
    text: str
    words: _containers.RepeatedCompositeFieldContainer[Word]
    reason: str
    def __init__(self, start_sample: _Optional[int] = ..., end_sample: _Optional[int] = ..., text: _Optional[str] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class MoveAway(_message.Message):
    __slots__ = ("reason", "within_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    within_ms: int
    def __init__(self, reason: _Optional[str] = ..., within_ms: _Optional[int] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("pool", "slots_total", "slots_used", "queued_audio_ms", "step_p50_us", "busy_permille", "is_draining", "heartbeat_interval_ms", "models", "gateways", "leaves_in_ms", "is_at_risk", "capacity")
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_USED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_AUDIO_MS_FIELD_NUMBER: _ClassVar[int]
    STEP_P50_US_FIELD_NUMBER: _ClassVar[int]
    BUSY_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    IS_DRAINING_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_IN_MS_FIELD_NUMBER: _ClassVar[int]
    IS_AT_RISK_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    pool: str
    slots_total: int
    slots_used: int
    queued_audio_ms: int
    step_p50_us: int
    busy_permille: int
    is_draining: bool
    heartbeat_interval_ms: int
    models: _containers.RepeatedCompositeFieldContainer[ModelLoad]
    gateways: int
    leaves_in_ms: int
    is_at_risk: bool
    capacity: str
    def __init__(self, pool: _Optional[str] = ..., slots_total: _Optional[int] = ..., slots_used: _Optional[int] = ..., queued_audio_ms: _Optional[int] = ..., step_p50_us: _Optional[int] = ..., busy_permille: _Optional[int] = ..., is_draining: _Optional[bool] = ..., heartbeat_interval_ms: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelLoad, _Mapping]]] = ..., gateways: _Optional[int] = ..., leaves_in_ms: _Optional[int] = ..., is_at_risk: _Optional[bool] = ..., capacity: _Optional[str] = ...) -> None: ...

class ModelLoad(_message.Message):
    __slots__ = ("name", "version", "language", "slots_total", "slots_used", "share_permille", "is_leaving")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_USED_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    IS_LEAVING_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    language: str
    slots_total: int
    slots_used: int
    share_permille: int
    is_leaving: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., language: _Optional[str] = ..., slots_total: _Optional[int] = ..., slots_used: _Optional[int] = ..., share_permille: _Optional[int] = ..., is_leaving: _Optional[bool] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("deadline_ms",)
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    deadline_ms: int
    def __init__(self, deadline_ms: _Optional[int] = ...) -> None: ...

class DrainReply(_message.Message):
    __slots__ = ("open_streams",)
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    open_streams: int
    def __init__(self, open_streams: _Optional[int] = ...) -> None: ...

class PreemptRequest(_message.Message):
    __slots__ = ("lead_ms", "kind", "is_proven")
    LEAD_MS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    IS_PROVEN_FIELD_NUMBER: _ClassVar[int]
    lead_ms: int
    kind: str
    is_proven: bool
    def __init__(self, lead_ms: _Optional[int] = ..., kind: _Optional[str] = ..., is_proven: _Optional[bool] = ...) -> None: ...

class PreemptReply(_message.Message):
    __slots__ = ("open_streams", "leaves_in_ms", "is_at_risk")
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_IN_MS_FIELD_NUMBER: _ClassVar[int]
    IS_AT_RISK_FIELD_NUMBER: _ClassVar[int]
    open_streams: int
    leaves_in_ms: int
    is_at_risk: bool
    def __init__(self, open_streams: _Optional[int] = ..., leaves_in_ms: _Optional[int] = ..., is_at_risk: _Optional[bool] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("pool", "load", "models", "busy_us_total", "charged_us_total")
    POOL_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    BUSY_US_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CHARGED_US_TOTAL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    load: Load
    models: _containers.RepeatedCompositeFieldContainer[ModelState]
    busy_us_total: int
    charged_us_total: int
    def __init__(self, pool: _Optional[str] = ..., load: _Optional[_Union[Load, _Mapping]] = ..., models: _Optional[_Iterable[_Union[ModelState, _Mapping]]] = ..., busy_us_total: _Optional[int] = ..., charged_us_total: _Optional[int] = ...) -> None: ...

class ModelState(_message.Message):
    __slots__ = ("load", "path", "slots_laid_out", "step_times", "memory")
    LOAD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SLOTS_LAID_OUT_FIELD_NUMBER: _ClassVar[int]
    STEP_TIMES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    load: ModelLoad
    path: str
    slots_laid_out: int
    step_times: _containers.RepeatedCompositeFieldContainer[StepTime]
    memory: Memory
    def __init__(self, load: _Optional[_Union[ModelLoad, _Mapping]] = ..., path: _Optional[str] = ..., slots_laid_out: _Optional[int] = ..., step_times: _Optional[_Iterable[_Union[StepTime, _Mapping]]] = ..., memory: _Optional[_Union[Memory, _Mapping]] = ...) -> None: ...

class StepTime(_message.Message):
    __slots__ = ("batch", "step_us")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STEP_US_FIELD_NUMBER: _ClassVar[int]
    batch: int
    step_us: int
    def __init__(self, batch: _Optional[int] = ..., step_us: _Optional[int] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("device", "weights_bytes", "state_bytes_per_slot", "state_bytes_total")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_PER_SLOT_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    device: str
    weights_bytes: int
    state_bytes_per_slot: int
    state_bytes_total: int
    def __init__(self, device: _Optional[str] = ..., weights_bytes: _Optional[int] = ..., state_bytes_per_slot: _Optional[int] = ..., state_bytes_total: _Optional[int] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("path", "slots", "share_permille")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    path: str
    slots: int
    share_permille: int
    def __init__(self, path: _Optional[str] = ..., slots: _Optional[int] = ..., share_permille: _Optional[int] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("name", "version", "deadline_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    deadline_ms: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class ShareTrafficRequest(_message.Message):
    __slots__ = ("name", "version", "share_permille")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    share_permille: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., share_permille: _Optional[int] = ...) -> None: ...
