"""What became of a stream over a link: what a breaker learns from."""

from __future__ import annotations

import msgspec

from engines.interface import LossReason, RefusalReason


class StreamGranted(msgspec.Struct, frozen=True, tag="granted"):
    """`elapsed_ms`: from asking to the answer. One of the others follows at the stream's end."""

    elapsed_ms: int


class StreamRefused(msgspec.Struct, frozen=True, tag="refused"):
    reason: RefusalReason


class StreamLost(msgspec.Struct, frozen=True, tag="lost"):
    reason: LossReason


class StreamCancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """Its session gave it up. `reason`: what it found wrong with the engine, if that was why."""

    reason: LossReason | None


class StreamFinished(msgspec.Struct, frozen=True, tag="finished"):
    """It gave its last final."""


StreamOutcome = StreamGranted | StreamRefused | StreamLost | StreamCancelled | StreamFinished
