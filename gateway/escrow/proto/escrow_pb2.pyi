from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_KEY: _ClassVar[Level]
    LEVEL_PROJECT: _ClassVar[Level]
    LEVEL_ORG: _ClassVar[Level]

class Refusal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_NONE: _ClassVar[Refusal]
    REFUSAL_UNAUTHENTICATED: _ClassVar[Refusal]
    REFUSAL_UNKNOWN_REGION: _ClassVar[Refusal]
    REFUSAL_NOT_HOME: _ClassVar[Refusal]
    REFUSAL_MALFORMED: _ClassVar[Refusal]
    REFUSAL_TOO_MANY_LEVELS: _ClassVar[Refusal]
    REFUSAL_AWAY: _ClassVar[Refusal]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_LENT: _ClassVar[Outcome]
    OUTCOME_SHORT: _ClassVar[Outcome]
    OUTCOME_FULL: _ClassVar[Outcome]
    OUTCOME_LEARNING: _ClassVar[Outcome]
    OUTCOME_STALE: _ClassVar[Outcome]
    OUTCOME_ABSURD: _ClassVar[Outcome]
    OUTCOME_UNLIMITED: _ClassVar[Outcome]
LEVEL_UNSPECIFIED: Level
LEVEL_KEY: Level
LEVEL_PROJECT: Level
LEVEL_ORG: Level
REFUSAL_NONE: Refusal
REFUSAL_UNAUTHENTICATED: Refusal
REFUSAL_UNKNOWN_REGION: Refusal
REFUSAL_NOT_HOME: Refusal
REFUSAL_MALFORMED: Refusal
REFUSAL_TOO_MANY_LEVELS: Refusal
REFUSAL_AWAY: Refusal
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_LENT: Outcome
OUTCOME_SHORT: Outcome
OUTCOME_FULL: Outcome
OUTCOME_LEARNING: Outcome
OUTCOME_STALE: Outcome
OUTCOME_ABSURD: Outcome
OUTCOME_UNLIMITED: Outcome

class LendRequest(_message.Message):
    __slots__ = ("region", "org", "asks")
    REGION_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    region: str
    org: str
    asks: _containers.RepeatedCompositeFieldContainer[LevelAsk]
    def __init__(self, region: _Optional[str] = ..., org: _Optional[str] = ..., asks: _Optional[_Iterable[_Union[LevelAsk, _Mapping]]] = ...) -> None: ...

class LevelAsk(_message.Message):
    __slots__ = ("level", "plan", "project", "key", "epoch", "generation", "sequence", "received_us", "returned_us", "holding_us", "wanted_us")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    RETURNED_US_FIELD_NUMBER: _ClassVar[int]
    HOLDING_US_FIELD_NUMBER: _ClassVar[int]
    WANTED_US_FIELD_NUMBER: _ClassVar[int]
    level: Level
    plan: str
    project: str
    key: str
    epoch: int
    generation: int
    sequence: int
    received_us: int
    returned_us: int
    holding_us: int
    wanted_us: int
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., plan: _Optional[str] = ..., project: _Optional[str] = ..., key: _Optional[str] = ..., epoch: _Optional[int] = ..., generation: _Optional[int] = ..., sequence: _Optional[int] = ..., received_us: _Optional[int] = ..., returned_us: _Optional[int] = ..., holding_us: _Optional[int] = ..., wanted_us: _Optional[int] = ...) -> None: ...

class Loan(_message.Message):
    __slots__ = ("outcome", "epoch", "generation", "granted_us", "returned_us", "retry_after_ms")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    GRANTED_US_FIELD_NUMBER: _ClassVar[int]
    RETURNED_US_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    epoch: int
    generation: int
    granted_us: int
    returned_us: int
    retry_after_ms: int
    def __init__(self, outcome: _Optional[_Union[Outcome, str]] = ..., epoch: _Optional[int] = ..., generation: _Optional[int] = ..., granted_us: _Optional[int] = ..., returned_us: _Optional[int] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class LendReply(_message.Message):
    __slots__ = ("refusal", "loans")
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    LOANS_FIELD_NUMBER: _ClassVar[int]
    refusal: Refusal
    loans: _containers.RepeatedCompositeFieldContainer[Loan]
    def __init__(self, refusal: _Optional[_Union[Refusal, str]] = ..., loans: _Optional[_Iterable[_Union[Loan, _Mapping]]] = ...) -> None: ...
