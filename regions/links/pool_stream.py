"""One session's stream in a pool: asks another replica when the first would not take it, unseen by its session.

A load report is old when it is read, so the best choice by it may have no room any more. That costs a second question
and never an overload: the engine grants the slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engines.interface import FinalResult, Granted, LossReason, Lost, MoveAway, RefusalReason, Refused
from regions.links.event_order import ends_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import MoveReason, OpenStream, StreamEvent
    from regions.links.interface import EngineStream

_MAY_FIT_ELSEWHERE = frozenset(
    {
        RefusalReason.no_free_slot,
        RefusalReason.draining,
        RefusalReason.unreachable,
        RefusalReason.unknown_model,
        RefusalReason.not_permitted,
    }
)
"""A replica that is not of the region or class that it is taken for, or whose clock is wrong, may be the only one."""
ENGINES_FAULT = frozenset({LossReason.silent, LossReason.engine_failed, LossReason.protocol_broken})
"""Losses that speak against a replica whose connection stands."""


class Replica(Protocol):
    """Where a stream is opened."""

    @property
    def address(self) -> str:
        """Its name in the pool."""

    @property
    def takes_streams(self) -> bool:
        """Whether a slot that is freed there can be had by somebody else."""

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> EngineStream:
        """As EnginePool.open."""

    def went_well(self, *, opened_at_ms: int) -> None:
        """A stream gave what it should."""

    def went_wrong(self, *, opened_at_ms: int) -> None:
        """A stream was lost, and that speaks against the replica."""

    def came_to_nothing(self) -> None:
        """A stream ended, and that says nothing of the replica."""


class Dispatcher(Protocol):
    """What a stream asks of its pool."""

    def choose_again(self, stream: OpenStream, tried: frozenset[str]) -> Replica | None:
        """Another replica that may take it; None: there is none, or it was tried often enough."""

    def now_ms(self) -> int:
        """Monotonic."""

    def over(self, stream: PoolStream) -> None:
        """It is on no replica any more."""


class PoolStream:
    """An EngineStream."""

    __slots__ = (
        "_dispatcher",
        "_inner",
        "_is_granted",
        "_is_judged",
        "_on_event",
        "_opened_at_ms",
        "_tried",
        "asked",
        "replica",
        "told_at_ms",
    )

    def __init__(
        self, dispatcher: Dispatcher, replica: Replica, asked: OpenStream, on_event: Callable[[StreamEvent], None]
    ) -> None:
        self.asked = asked
        self.replica: Replica | None = None
        """Where it is; None when it is over."""
        self._dispatcher = dispatcher
        self._on_event = on_event
        self._is_granted = False
        self._is_judged = False
        self.told_at_ms: int | None = None
        """When it was last told to move because of an order."""
        self._tried: frozenset[str] = frozenset()
        self._ask(replica)

    def send_audio(self, pcm16: bytes) -> None:
        self._inner.send_audio(pcm16)

    def finalize(self, at_sample: int) -> None:
        self._inner.finalize(at_sample)

    def finish(self, at_sample: int) -> None:
        self._inner.finish(at_sample)

    def cancel(self, reason: LossReason | None = None) -> None:
        if self.replica is None:
            return
        self._judge(is_well=False if reason in ENGINES_FAULT else None)
        self._inner.cancel(reason)
        self._end()

    @property
    def is_granted(self) -> bool:
        return self._is_granted and self.replica is not None

    @property
    def frees_slot(self) -> bool:
        """Whether its end leaves a slot for somebody else: not on a replica that goes away itself."""
        return self.is_granted and self.replica is not None and self.replica.takes_streams

    def move_away(self, reason: MoveReason, within_ms: int) -> None:
        """It should go on elsewhere, though its replica works."""
        self.told_at_ms = self._dispatcher.now_ms()
        self._on_event(MoveAway(self.asked.epoch, reason, within_ms))

    def hand_back(self) -> None:
        """It must not go on where it is, whether or not there is another place."""
        self.cancel()
        self._on_event(Lost(self.asked.epoch, LossReason.drained))

    def _ask(self, replica: Replica) -> None:
        self.replica = replica
        self._tried |= {replica.address}
        self._opened_at_ms = self._dispatcher.now_ms()
        self._inner = replica.open(self.asked, self._hear)

    def _hear(self, event: StreamEvent) -> None:
        if ends_stream(event):
            self._hear_last(event)
            return
        if not self._is_granted and type(event) is Granted:
            self._is_granted = True
        elif type(event) is FinalResult:
            self._judge(is_well=True)
        self._on_event(event)

    def _hear_last(self, event: StreamEvent) -> None:
        match event:
            case Refused():
                self._judge(is_well=None)
                if event.reason in _MAY_FIT_ELSEWHERE and self._asks_another():
                    return
            case Lost():
                self._is_judged = False
                self._judge(is_well=False if event.reason in ENGINES_FAULT else None)
                if not self._is_granted and self._asks_another():
                    return
            case _:
                self._judge(is_well=True)
        self._end()
        self._on_event(event)

    def _asks_another(self) -> bool:
        another = self._dispatcher.choose_again(self.asked, self._tried)
        if another is None:
            return False
        self._is_judged = False
        self._ask(another)
        return True

    def _judge(self, *, is_well: bool | None) -> None:
        """Say once what it was like; a loss is said even after that."""
        replica = self.replica
        if replica is None or self._is_judged:
            return
        self._is_judged = True
        if is_well is None:
            replica.came_to_nothing()
        elif is_well:
            replica.went_well(opened_at_ms=self._opened_at_ms)
        else:
            replica.went_wrong(opened_at_ms=self._opened_at_ms)

    def _end(self) -> None:
        self._dispatcher.over(self)
        self.replica = None
