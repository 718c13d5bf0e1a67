"""The replays that are under way on this engine, and whether one more may begin (policies.replay_share).

A stream counts from its grant until it is over or hardly any of its audio waits here. Nobody reports that: it is looked
at when the next replay asks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.interface import SAMPLES_PER_MS
from engines.server.shelf import engine_slots
from policies.replay_share import Room, admits_replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.server.shelf import ModelShelf, ShelvedModel
    from engines.server.streams import HostedStream
    from policies.replay_share import ReplayLimits

REPLAY_SPEED_PERMILLE = 4_000
"""So fast should each of them be: 12 s of audio are caught up with in 4 s."""
REPLAY_RETRY_MS = 100
"""A replay of a few seconds is over by then, where the engine has time."""
_NEAR_STEPS = 2
_NEAR_MS = 400
"""A live stream has no more than that unread: a step that is not complete, and a piece of audio that just came."""
_FIRST_AUDIO_MS = 100
"""The first message may bring a small part of what waits at the gateway."""
_NO_AUDIO_MS = 2_000
"""Who sends nothing for so long has nothing to catch up with."""


@dataclass(frozen=True, slots=True)
class _Replay:
    stream: HostedStream
    start_sample: int
    near_samples: int
    began_at_ms: int


class ReplaysUnderWay:
    """Of one engine. Used on one event loop."""

    def __init__(
        self,
        shelf: ModelShelf,
        limits: ReplayLimits,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._shelf = shelf
        self._limits = limits
        self._now_ms = now_ms
        self._replays: list[_Replay] = []

    @property
    def catching_up(self) -> int:
        """How many there are now."""
        now_ms = self._now_ms()
        self._replays = [replay for replay in self._replays if self._is_under_way(replay, now_ms)]
        return len(self._replays)

    def admits(self, model: ShelvedModel) -> bool:
        """Whether one more stream of this model may begin with a backlog."""
        slots_total = engine_slots(self._shelf.loads())
        return admits_replay(
            Room(slots_total, slots_free=slots_total - self._shelf.slots_used),
            catching_up=self.catching_up,
            speed_permille=min(REPLAY_SPEED_PERMILLE, self._shelf.fastest_permille(model)),
            limits=self._limits,
        )

    def began(self, stream: HostedStream, model: ShelvedModel) -> None:
        """It has its slot; its audio comes from here on."""
        near_samples = max(_NEAR_STEPS * model.step_samples, _NEAR_MS * SAMPLES_PER_MS)
        self._replays.append(_Replay(stream, stream.received_through_sample, near_samples, self._now_ms()))

    def _is_under_way(self, replay: _Replay, now_ms: int) -> bool:
        stream = replay.stream
        if self._shelf.owner_of(stream.slot) is not stream:
            return False
        received = stream.received_through_sample
        if received - stream.consumed_through_sample > replay.near_samples:
            return True
        has_audio = received > replay.start_sample
        return now_ms - replay.began_at_ms < (_FIRST_AUDIO_MS if has_audio else _NO_AUDIO_MS)
