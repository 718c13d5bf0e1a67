"""What a session machine asks its shell to do. Carrying one out never waits: it fills a bounded queue."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engines.interface import LossReason, OpenStream
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
    """Forget the engine stream that was opened last."""


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
    | PauseClient
    | ResumeClient
    | CloseClient
    | EngineLost
    | Measured
)
