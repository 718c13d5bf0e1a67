"""How a gateway speaks to engines: a pool opens streams, a stream takes audio and cuts, events come to a callback.

Nothing here waits. Commands go into a bounded queue that a writer task flushes; events arrive on the event loop, never
from inside a call of the stream or the pool, so that a caller's step is one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import LoadReport, LossReason, OpenStream, StreamEvent


class EngineStream(Protocol):
    """One session's audio on its way to one engine replica."""

    def send_audio(self, pcm16: bytes) -> None:
        """Samples that follow what was sent before; the first begin at `OpenStream.start_sample`."""

    def finalize(self, at_sample: int) -> None:
        """Cut where the audio sent so far ends; gives a final that ends at `at_sample`."""

    def finish(self, at_sample: int) -> None:
        """As `finalize`, and no audio follows."""

    def cancel(self, reason: LossReason | None = None) -> None:
        """Forget the stream: no event comes after this. May be called twice, and after the end.

        `reason`: what is wrong with the engine, if that is why; it counts against it.
        """


class EnginePool(Protocol):
    """Replicas of one or several models in one region."""

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> EngineStream:
        """Ask the best replica for a slot.

        The first event is `Granted`, `Refused` or `Lost`. `Refused` with `unreachable` says that no replica is
        connected now. After `Refused` or `Lost` no event follows. Audio may be sent only after `Granted`.
        """

    def loads(self) -> Sequence[LoadReport]:
        """The last report of each connected replica."""
