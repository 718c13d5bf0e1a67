"""The replicas of one region behind one interface: picks the one with the most room and opens there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from engines.interface import RefusalReason, Refused
from engines.registry import speaks
from regions.links.grpc_link import GrpcLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import LoadReport, LossReason, OpenStream, StreamEvent, StreamOptions
    from regions.links.interface import EngineStream
    from regions.links.settings import PoolSettings


class LinkPool:
    """An EnginePool over gRPC links. Its owner runs `run` in a task group; nothing is connected before."""

    def __init__(self, settings: PoolSettings, *, gateway: str) -> None:
        self._retry_after_ms = settings.retry_after_ms
        self._links = [
            GrpcLink(address, settings.link, gateway=gateway, retry_after_ms=settings.retry_after_ms)
            for address in settings.addresses
        ]

    @property
    def is_ready(self) -> bool:
        """Whether a replica is connected that takes streams."""
        return any(link.load is not None and not link.load.is_draining for link in self._links)

    @property
    def links(self) -> Sequence[GrpcLink]:
        return self._links

    async def run(self) -> None:
        """Keep all links up until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for link in self._links:
                tasks.create_task(link.run())

    def loads(self) -> list[LoadReport]:
        return [
            msgspec.structs.replace(link.load, replica=str(number))
            for number, link in enumerate(self._links)
            if link.load is not None
        ]

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> EngineStream:
        """Open on the replica with the most free slots, the first of equals. See EnginePool.open.

        One that failed a stream a moment ago is taken only if no other has room: what it leans on may be gone, and a
        session that goes back to it at once would use up its tries there.
        """
        chosen = self._choose(stream.options)
        if isinstance(chosen, GrpcLink):
            return chosen.open(stream, on_event)
        may_help_later = chosen not in (RefusalReason.unknown_model, RefusalReason.unsupported_language)
        refused = _RefusedStream(on_event)
        refusal = Refused(stream.epoch, chosen, self._retry_after_ms if may_help_later else None)
        asyncio.get_running_loop().call_soon(refused.refuse, refusal)
        return refused

    def _choose(self, options: StreamOptions) -> GrpcLink | RefusalReason:
        connected = [(link, link.load) for link in self._links if link.load is not None]
        if not connected:
            return RefusalReason.unreachable
        rooms = [(link, load, room_for(load, options)) for link, load in connected]
        having = [(link, load, room) for link, load, room in rooms if isinstance(room, int)]
        if not having:
            # Of several reasons the nearest to a model: it speaks another language, rather than that it is not there.
            reasons = [room for _, _, room in rooms if isinstance(room, RefusalReason)]
            return max(reasons, key=lambda reason: reason is RefusalReason.unsupported_language)
        taking = [(link, room - link.placed_since_report) for link, load, room in having if not load.is_draining]
        if not taking:
            return RefusalReason.draining
        best, room = max(taking, key=lambda replica: (replica[1] > 0, not replica[0].has_failed_lately, replica[1]))
        return best if room > 0 else RefusalReason.no_free_slot


def room_for(load: LoadReport, options: StreamOptions) -> int | RefusalReason:
    """How many more streams with such options a replica takes by its report; a reason where none of its models fits."""
    fitting = [
        model
        for model in load.models
        if options.model in ("", model.name) and options.model_version in ("", model.version)
    ]
    if not fitting:
        return RefusalReason.unknown_model
    speaking = [model for model in fitting if speaks(model.language, options.language)]
    if not speaking:
        return RefusalReason.unsupported_language
    taking = [model for model in speaking if options.model_version or not model.is_leaving]
    return max((model.slots_total - model.slots_used for model in taking), default=0)


class _RefusedStream:
    """A stream that no replica was asked for."""

    def __init__(self, on_event: Callable[[StreamEvent], None]) -> None:
        self._on_event = on_event
        self._is_over = False

    def send_audio(self, pcm16: bytes) -> None:
        """Nobody listens."""

    def finalize(self, at_sample: int) -> None:
        """Nobody listens."""

    def finish(self, at_sample: int) -> None:
        """Nobody listens."""

    def cancel(self, reason: LossReason | None = None) -> None:
        self._is_over = True

    def refuse(self, refusal: Refused) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_event(refusal)
