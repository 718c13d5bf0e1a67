"""A region's links and pool that say what a test wants them to say, for tests of placement alone."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engines.interface import EndReason, FinalResult, Granted, LoadReport, Lost, ModelLoad, RefusalReason, Refused
from policies.routing_facts import RegionState
from regions.links.heartbeat import RttSample
from regions.links.region_status import RegionStatus
from tests.fakes.engine_pool import WINDOW_SAMPLES, FakeStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import LossReason, OpenStream, StreamEvent
    from policies.routing_facts import CapacityClass
    from regions.discovery.interface import EngineAddress


def load_of(
    *, slots: int = 10, used: int = 0, pool: str = "l4", is_draining: bool = False, queued_audio_ms: int = 0
) -> LoadReport:
    model = ModelLoad(name="scripted", version="1", language="en", slots_total=slots, slots_used=used)
    return LoadReport(
        pool=pool,
        models=(model,),
        slots_total=slots,
        slots_used=used,
        queued_audio_ms=queued_audio_ms,
        step_p50_us=1_000,
        busy_permille=0,
        is_draining=is_draining,
    )


@dataclass
class FakeLink:
    """A RegionLink; a test changes what it says."""

    address: str = "fake:1"
    load: LoadReport | None = field(default_factory=load_of)
    region: RegionStatus | None = None
    rtt: RttSample | None = None
    heard_at_s: float = 0.0
    answers_since_s: float = math.inf
    placed_since_report: int = 0
    open_streams: int = 0
    has_failed_lately: bool = False

    @property
    def is_connected(self) -> bool:
        return self.load is not None

    @property
    def is_draining(self) -> bool:
        return self.load is not None and self.load.is_draining

    def hear(self, now_ms: int, *, rtt_ms: float | None = None, clock_offset_ms: int = 0) -> None:
        """A report came, and perhaps a pong."""
        self.heard_at_s = now_ms / 1_000
        if rtt_ms is not None:
            self.rtt = RttSample(round(rtt_ms * 1_000), clock_offset_ms)


class FakeRegionPool:
    """A RegionPool of one link. It grants, or refuses with `refuses`; with `is_silent` it does neither."""

    def __init__(self, link: FakeLink | None = None) -> None:
        self.links: list[FakeLink] = [link or FakeLink()]
        self.streams: list[CountedStream] = []
        self.refuses: RefusalReason | None = None
        self.is_silent = False
        self.capacity: CapacityClass | None = None
        """Of all its engines; None: nobody knows it."""
        self.members: tuple[EngineAddress, ...] = ()
        self._on_open: Callable[[OpenStream], None] = _nobody
        self.runs = 0
        """How often it was run; and how often it was ended."""
        self.ends = 0

    @property
    def link(self) -> FakeLink:
        return self.links[0]

    @property
    def last(self) -> CountedStream:
        return self.streams[-1]

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> CountedStream:
        self._on_open(stream)
        opened = CountedStream(self.link, stream, on_event)
        self.streams.append(opened)
        answer: StreamEvent = Granted(stream.epoch, "scripted", "1", WINDOW_SAMPLES)
        if stream.classes is not None and self.capacity not in stream.classes:
            answer = Refused(stream.epoch, RefusalReason.no_free_slot, 50)
        if self.refuses is not None:
            answer = Refused(stream.epoch, self.refuses, 50)
        if not self.is_silent:
            asyncio.get_running_loop().call_soon(opened.say, answer)
        return opened

    def class_of(self, _address: str) -> CapacityClass | None:
        return self.capacity

    def watch_opens(self, on_open: Callable[[OpenStream], None]) -> None:
        self._on_open = on_open

    def loads(self) -> Sequence[LoadReport]:
        return [link.load for link in self.links if link.load is not None]

    def set_members(self, members: tuple[EngineAddress, ...]) -> None:
        self.members = members

    async def run(self) -> None:
        self.runs += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ends += 1


class CountedStream(FakeStream):
    """Its link counts it while it is open."""

    def __init__(self, link: FakeLink, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> None:
        super().__init__(stream, on_event)
        self._link = link
        self.is_over = False
        self.reason: LossReason | None = None
        link.open_streams += 1

    def cancel(self, reason: LossReason | None = None) -> None:
        if not self.is_over:
            self.reason = reason
            self._end()
        super().cancel(reason)

    def say(self, event: StreamEvent) -> None:
        if self.is_over:
            return
        if isinstance(event, Refused | Lost) or (isinstance(event, FinalResult) and event.reason is EndReason.finish):
            self._end()
        super().say(event)

    def _end(self) -> None:
        self.is_over = True
        self._link.open_streams -= 1


def _nobody(_asked: OpenStream) -> None:
    """Nobody watches."""


def status_of(
    region: str,
    *,
    state: RegionState = RegionState.active,
    free: int = 10,
    lag_ms: int = 0,
    classes: dict[str, int] | None = None,
) -> RegionStatus:
    free_slots = {"premium": free, "standard": free, "economy": free}
    return RegionStatus(
        region=region, state=state, free_slots_of_tier=free_slots, lag_ms=lag_ms, free_slots_of_class=classes or {}
    )


__all__ = ["FakeLink", "FakeRegionPool", "load_of", "status_of"]
