"""What a session machine asks its shell to do. Carrying one out never waits: it fills a bounded queue."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engines.interface import LossReason, MoveReason, OpenStream
from gateway.errors import Reason
from gateway.wire.messages import ServerMessage


class SendToClient(msgspec.Struct, frozen=True):
    message: ServerMessage


class OpenEngine(msgspec.Struct, frozen=True):
    """Ask the pool for an engine; its events come back through `engine_event`."""

    stream: OpenStream


class SendAudio(msgspec.Struct, frozen=True):
    """Samples for the engine that was granted last."""

    pcm16: bytes


class CutEngine(msgspec.Struct, frozen=True):
    """End an utterance where the audio sent so far ends; `is_last`: no audio follows."""

    at_sample: int
    is_last: bool


class CancelEngine(msgspec.Struct, frozen=True):
    """Forget the engine stream. `reason`: what is wrong with the engine, if that is why."""

    reason: LossReason | None = None


class OpenStandby(msgspec.Struct, frozen=True):
    """Ask the pool for a second engine, which is to take over; its events come back through `engine_event` too."""

    stream: OpenStream


class StandbyAudio(msgspec.Struct, frozen=True):
    """Samples for the standby."""

    pcm16: bytes


class StandbyCut(msgspec.Struct, frozen=True):
    """As `CutEngine`, for the standby."""

    at_sample: int
    is_last: bool


class CancelStandby(msgspec.Struct, frozen=True):
    """Forget the standby's stream."""

    reason: LossReason | None = None


class SwitchToStandby(msgspec.Struct, frozen=True):
    """The standby's stream is the session's engine stream from here on; the one before is over."""


class PauseClient(msgspec.Struct, frozen=True):
    """Stop reading from the client: as much audio is held as may be."""


class ResumeClient(msgspec.Struct, frozen=True):
    """Read on."""


class CloseClient(msgspec.Struct, frozen=True):
    """Send what is queued, then close. The machine takes no more input."""

    reason: Reason


class EngineLost(msgspec.Struct, frozen=True):
    """For the log: an engine was lost in mid-session and `to_replay_ms` of audio will be sent again."""

    reason: LossReason
    to_replay_ms: int
    losses: int


class EngineMoved(msgspec.Struct, frozen=True):
    """For the log: the session goes on elsewhere as planned; `replayed_ms` of audio was heard by both engines.

    `elapsed_ms`: from the wish to move to the switch.
    """

    reason: MoveReason
    replayed_ms: int
    elapsed_ms: int


class Committed(msgspec.Struct, frozen=True):
    """All before `committed_sample` is final, and all before `charged_through_sample` is charged. Of sessions that can
    be resumed.
    """

    committed_sample: int
    charged_through_sample: int
    epoch: int
    model: str
    model_version: str


class Figure(StrEnum):
    """What a session measures of itself."""

    open_elapsed_ms = "open_elapsed_ms"
    """From the first request for an engine to its grant."""
    first_partial_elapsed_ms = "first_partial_elapsed_ms"
    """From the first audio to the first partial or final with words."""
    finalisation_elapsed_ms = "finalisation_elapsed_ms"
    """From a `finalize` or `finish` to the final that confirms it."""
    migration_pause_elapsed_ms = "migration_pause_elapsed_ms"
    """From the loss of an engine to the grant of the next."""


class Measured(msgspec.Struct, frozen=True):
    figure: Figure
    value: int


Effect = (
    SendToClient
    | OpenEngine
    | SendAudio
    | CutEngine
    | CancelEngine
    | OpenStandby
    | StandbyAudio
    | StandbyCut
    | CancelStandby
    | SwitchToStandby
    | PauseClient
    | ResumeClient
    | CloseClient
    | EngineLost
    | EngineMoved
    | Committed
    | Measured
)
