from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommitPoint(_message.Message):
    __slots__ = ("session_id", "org", "generation", "committed_sample", "charged_through_sample", "epoch", "model", "model_version", "tab_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CHARGED_THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TAB_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    org: str
    generation: int
    committed_sample: int
    charged_through_sample: int
    epoch: int
    model: str
    model_version: str
    tab_id: str
    def __init__(self, session_id: _Optional[str] = ..., org: _Optional[str] = ..., generation: _Optional[int] = ..., committed_sample: _Optional[int] = ..., charged_through_sample: _Optional[int] = ..., epoch: _Optional[int] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., tab_id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("superseded",)
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    superseded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, superseded: _Optional[_Iterable[str]] = ...) -> None: ...

class ClaimSessionRequest(_message.Message):
    __slots__ = ("session_id", "org")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    org: str
    def __init__(self, session_id: _Optional[str] = ..., org: _Optional[str] = ...) -> None: ...
