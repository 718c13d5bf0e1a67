"""A session's stream while placement looks for its engine, and after: one object for all regions that are tried.

Audio costs what it costs on the link's own stream: once the slot is granted, `send_audio` is that stream's method.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from engines.interface import PartialResult, Progress, SpeechStarted
from regions.links.pool_stream import PoolStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines.interface import LossReason, MoveAway, MoveReason, OpenStream, Refused, StreamEvent
    from policies.routing_facts import CapacityClass
    from regions.links.interface import EngineStream
    from regions.region_watch import RegionWatch

_NOTHING_TO_LEARN = frozenset({Progress, PartialResult, SpeechStarted})


class SendAudio(Protocol):
    def __call__(self, pcm16: bytes) -> None: ...


class Cut(Protocol):
    def __call__(self, at_sample: int) -> None: ...


class Seeker(Protocol):
    """What a stream needs of the session it belongs to."""

    def heard(self, stream: PlacedStream, event: StreamEvent) -> None:
        """An engine answered, or something came that placement may learn from."""

    def given_up(self, stream: PlacedStream, reason: LossReason | None) -> None:
        """The session wants no more of it."""


class PlacedStream:
    """An EngineStream (regions.links.interface). Everything but the EngineStream's methods is the session pool's."""

    __slots__ = (
        "_seeker",
        "asked",
        "attempt",
        "capacity",
        "classes",
        "finalize",
        "finish",
        "full",
        "hold_until_ms",
        "inner",
        "is_granted",
        "is_handover",
        "is_over",
        "is_proven",
        "is_told_to_move",
        "leaves_region",
        "model",
        "move_reason",
        "on_event",
        "placed_at_ms",
        "refusal",
        "region",
        "remaining",
        "send_audio",
        "timer",
        "was_told_to_leave",
    )

    def __init__(self, asked: OpenStream, on_event: Callable[[StreamEvent], None], seeker: Seeker) -> None:
        self._seeker = seeker
        self.asked = asked
        self.on_event = on_event
        self.send_audio: SendAudio = _no_audio
        self.finalize: Cut = _no_cut
        self.finish: Cut = _no_cut
        self.inner: EngineStream | None = None
        self.region: RegionWatch | None = None
        """Where it was asked last."""
        self.remaining: Iterator[str] = iter(())
        """Regions to try yet, best first."""
        self.attempt = 0
        """Regions that were asked."""
        self.refusal: Refused | None = None
        """The one nearest to a grant."""
        self.full: frozenset[str] = frozenset()
        """Regions that have no slot for it, by their answers."""
        self.model = ("", "")
        """The model that was granted, and its version."""
        self.classes: frozenset[CapacityClass] | None = None
        """The machines that it was asked for by; None: any."""
        self.capacity: CapacityClass | None = None
        """Of its engine; None: nobody here knows it."""
        self.placed_at_ms = 0
        self.hold_until_ms = 0
        """For so long its answer may be held back while its turn comes."""
        self.timer: asyncio.TimerHandle | None = None
        self.is_granted = False
        self.is_handover = False
        """Another stream of the session works while this one is asked for."""
        self.is_proven = False
        """Its engine has shown that it recognises; or what became of it was told."""
        self.is_told_to_move = False
        self.was_told_to_leave = False
        """Its region is drained, disabled or gone, and it heard so."""
        self.move_reason: MoveReason | None = None
        self.leaves_region = True
        """False: only its machine is not permitted any more; another one of its region may be."""
        self.is_over = False

    @property
    def is_leaving(self) -> bool:
        """Whether it was told to move, or is on a replica that goes away and may not have told it yet."""
        inner = self.inner
        return self.move_reason is not None or (isinstance(inner, PoolStream) and not inner.frees_slot)

    def cancel(self, reason: LossReason | None = None) -> None:
        if self.is_over:
            return
        self.end()
        if self.inner is not None:
            self.inner.cancel(reason)
        self._seeker.given_up(self, reason)

    def hear(self, event: StreamEvent) -> None:
        """From the link."""
        if self.is_over:
            return
        if self.is_proven and type(event) in _NOTHING_TO_LEARN:
            self.on_event(event)
            return
        self._seeker.heard(self, event)

    def grant(self) -> None:
        """From here on what it is told goes straight to the link."""
        inner = self.inner
        if inner is None:
            raise RuntimeError("a slot was granted that nobody asked for")
        self.is_granted = True
        self.send_audio = inner.send_audio
        self.finalize = inner.finalize
        self.finish = inner.finish

    def end(self) -> None:
        """No event comes any more, and nothing that it is told goes anywhere."""
        self.is_over = True
        self.silence()
        self.stop_timer()

    def silence(self) -> None:
        """Nothing that it is told goes anywhere."""
        self.send_audio = _no_audio
        self.finalize = self.finish = _no_cut

    def tell(self, event: MoveAway) -> None:
        """The session, unless it is over for it."""
        if not self.is_over:
            self.on_event(event)

    def later(self, after_ms: int, do: Callable[[PlacedStream], None]) -> None:
        """Instead of what was to be done later until now."""
        self.stop_timer()
        self.timer = asyncio.get_running_loop().call_later(after_ms / 1_000, do, self)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _no_audio(pcm16: bytes) -> None:
    """Nobody listens."""


def _no_cut(at_sample: int) -> None:
    """Nobody listens."""
