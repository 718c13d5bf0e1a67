from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommitPoint(_message.Message):
    __slots__ = ("session_id", "org", "generation", "committed_sample", "charged_through_sample", "epoch", "model", "model_version", "tab_id", "situation")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CHARGED_THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TAB_ID_FIELD_NUMBER: _ClassVar[int]
    SITUATION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    org: str
    generation: int
    committed_sample: int
    charged_through_sample: int
    epoch: int
    model: str
    model_version: str
    tab_id: str
    situation: Situation
    def __init__(self, session_id: _Optional[str] = ..., org: _Optional[str] = ..., generation: _Optional[int] = ..., committed_sample: _Optional[int] = ..., charged_through_sample: _Optional[int] = ..., epoch: _Optional[int] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., tab_id: _Optional[str] = ..., situation: _Optional[_Union[Situation, _Mapping]] = ...) -> None: ...

class Situation(_message.Message):
    __slots__ = ("profile", "project", "data_class", "subject_countries", "has_consent", "legal_basis")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_CLASS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_COUNTRIES_FIELD_NUMBER: _ClassVar[int]
    HAS_CONSENT_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASIS_FIELD_NUMBER: _ClassVar[int]
    profile: str
    project: str
    data_class: str
    subject_countries: _containers.RepeatedScalarFieldContainer[str]
    has_consent: bool
    legal_basis: str
    def __init__(self, profile: _Optional[str] = ..., project: _Optional[str] = ..., data_class: _Optional[str] = ..., subject_countries: _Optional[_Iterable[str]] = ..., has_consent: _Optional[bool] = ..., legal_basis: _Optional[str] = ...) -> None: ...

class StoreCommitsRequest(_message.Message):
    __slots__ = ("region", "points", "finished")
    REGION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    region: str
    points: _containers.RepeatedCompositeFieldContainer[CommitPoint]
    finished: _containers.RepeatedCompositeFieldContainer[CommitPoint]
    def __init__(self, region: _Optional[str] = ..., points: _Optional[_Iterable[_Union[CommitPoint, _Mapping]]] = ..., finished: _Optional[_Iterable[_Union[CommitPoint, _Mapping]]] = ...) -> None: ...

class StoreCommitsReply(_message.Message):
    __slots__ = ("superseded", "not_permitted")
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    NOT_PERMITTED_FIELD_NUMBER: _ClassVar[int]
    superseded: _containers.RepeatedScalarFieldContainer[str]
    not_permitted: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, superseded: _Optional[_Iterable[str]] = ..., not_permitted: _Optional[_Iterable[str]] = ...) -> None: ...

class ClaimSessionRequest(_message.Message):
    __slots__ = ("session_id", "org")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    org: str
    def __init__(self, session_id: _Optional[str] = ..., org: _Optional[str] = ...) -> None: ...
