"""The streams of one peer's link, each passed on to an engine of this region.

These must stay true:
  - A stream is opened on this region's own engines and nowhere else.
  - Epochs, positions and the window pass unchanged: a session's flow control is between its gateway and its engine.
  - What waits for an engine is bounded for each stream by its window (and one message) and by `MAX_PENDING_CUTS`; what
    waits for a peer, by its link. How many streams a peer has is bounded.
  - Where there is a guard, no stream is opened that it does not admit, and none that it would not admit any more goes
    on for longer than `outside_policy_ms`.
  - Every stream ends in exactly one of: its last final, a refusal, `Lost`, or the peer's own cancel.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from engines.errors import LinkMisused
from engines.interface import (
    BYTES_PER_SAMPLE,
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    Progress,
    RefusalReason,
    Refused,
)
from engines.server.alarms import Alarms
from regions.links.event_order import ends_stream
from regions.relay.region_load import region_load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines.interface import LoadReport, OpenStream, StreamEvent
    from engines.server.link_host import EventSink
    from regions.links.interface import EnginePool, EngineStream
    from regions.relay.guard import Admitted, RelayGuard
    from regions.relay.metrics import RelayMetrics
    from regions.relay.settings import RelaySettings

MAX_PENDING_CUTS = 64
_CUT_REASONS = frozenset({EndReason.finalize, EndReason.finish})

log = structlog.get_logger("relay")


class RelayedStream:
    """One stream of a peer; `upstream` is its other half, on an engine of this region."""

    __slots__ = (
        "_host",
        "admitted",
        "consumed_through_sample",
        "epoch",
        "is_finishing",
        "leaving",
        "pending_cuts",
        "received_through_sample",
        "sink",
        "stream_id",
        "upstream",
        "window_samples",
    )

    def __init__(
        self, host: RelayHost, sink: EventSink, stream_id: int, opened: OpenStream, admitted: Admitted | None = None
    ) -> None:
        self._host = host
        self.admitted = admitted
        """By the guard; None: there is none."""
        self.leaving: asyncio.TimerHandle | None = None
        """It was told to move, and is handed back then."""
        self.sink = sink
        self.stream_id = stream_id
        self.epoch = opened.epoch
        self.received_through_sample = opened.start_sample
        self.consumed_through_sample = opened.start_sample
        self.window_samples = 0
        self.pending_cuts = 0
        self.is_finishing = False
        self.upstream: EngineStream | None = None

    def hear(self, event: StreamEvent) -> None:
        """From the engine, to the peer."""
        self._host.pass_on(self, event)


class RelayFloor:
    """What all links of a relay share.

    Args:
        region: this one's name.
        is_peer: whether a region may open streams.
    """

    def __init__(
        self,
        region: str,
        pool: EnginePool,
        settings: RelaySettings,
        metrics: RelayMetrics,
        is_peer: Callable[[str], bool],
    ) -> None:
        self.region = region
        self.alarms = Alarms(time.monotonic)
        self.guard: RelayGuard | None = None
        """Asked about each stream; None: whatever a peer opens is passed on."""
        self.is_peer = is_peer
        self.pool = pool
        self.settings = settings
        self.metrics = metrics
        self.is_draining = False
        self.changes = 0
        self.streams_of_peer: dict[str, int] = {}
        self._emptied = asyncio.Event()

    async def until_empty(self) -> None:
        """Until no peer has a stream."""
        while any(self.streams_of_peer.values()):
            self._emptied.clear()
            await self._emptied.wait()

    def count(self, peer: str, change: int) -> None:
        """A stream of the peer came (1) or went (-1)."""
        self.changes += 1
        number = self.streams_of_peer.get(peer, 0) + change
        self.streams_of_peer[peer] = number
        if not number:
            self._emptied.set()
        self.metrics.streams.labels(peer).set(number)


class RelayHost:
    """A LinkHost for one link of the region `peer`."""

    is_stalled = False

    def __init__(self, floor: RelayFloor, peer: str) -> None:
        self._floor = floor
        self._peer = peer
        self._streams: set[RelayedStream] = set()

    @property
    def slot_changes(self) -> int:
        return self._floor.changes

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def open(self, sink: EventSink, stream_id: int, opened: OpenStream) -> RelayedStream | None:
        floor = self._floor
        if floor.is_draining or not floor.is_peer(self._peer):
            self._refuse(sink, stream_id, Refused(opened.epoch, RefusalReason.draining))
            return None
        if floor.streams_of_peer.get(self._peer, 0) >= floor.settings.max_streams_per_peer:
            refusal = Refused(opened.epoch, RefusalReason.no_free_slot, floor.settings.retry_after_ms)
            self._refuse(sink, stream_id, refusal)
            return None
        admitted = None if floor.guard is None else floor.guard.admit(opened, peer=self._peer)
        if isinstance(admitted, str):
            floor.metrics.not_permitted.labels(self._peer, admitted).inc()
            if times := floor.alarms.raised((self._peer, admitted)):
                session_id = opened.session_id
                log.error("relay.not_permitted", of_region=self._peer, session=session_id, why=admitted, times=times)
            self._refuse(sink, stream_id, Refused(opened.epoch, RefusalReason.not_permitted, detail=admitted))
            return None
        stream = RelayedStream(self, sink, stream_id, opened, admitted)
        stream.upstream = floor.pool.open(opened if admitted is None else admitted.opened, stream.hear)
        self._streams.add(stream)
        floor.count(self._peer, 1)
        return stream

    def audio(self, stream: RelayedStream, pcm16: bytes) -> None:
        """Pass audio on.

        Raises:
            LinkMisused: half a sample, audio after `finish` or before the grant, or more than the window and one
                message ahead.
        """
        if stream.is_finishing:
            raise LinkMisused("audio after finish")
        num_samples, half = divmod(len(pcm16), BYTES_PER_SAMPLE)
        if half:
            raise LinkMisused("half a sample")
        window_samples = stream.window_samples
        if stream.received_through_sample - stream.consumed_through_sample > window_samples:
            raise LinkMisused("audio beyond the window")
        if num_samples > window_samples:
            raise LinkMisused("audio beyond the window")
        stream.received_through_sample += num_samples
        if stream.upstream is not None:
            stream.upstream.send_audio(pcm16)

    def cut(self, stream: RelayedStream, at_sample: int, *, is_last: bool) -> None:
        """Pass a cut on.

        Raises:
            LinkMisused: `at_sample` is not where the audio ends, the stream was finished before, or too many cuts are
                unanswered.
        """
        if stream.is_finishing:
            raise LinkMisused("a cut after finish")
        if at_sample != stream.received_through_sample:
            raise LinkMisused("a cut that is not where the audio ends")
        if stream.pending_cuts >= MAX_PENDING_CUTS:
            raise LinkMisused("too many cuts unanswered")
        stream.pending_cuts += 1
        stream.is_finishing = is_last
        if stream.upstream is None:
            return
        if is_last:
            stream.upstream.finish(at_sample)
        else:
            stream.upstream.finalize(at_sample)

    def cancel(self, stream: RelayedStream) -> None:
        self._release(stream)

    def lose(self, stream: RelayedStream, reason: LossReason) -> None:
        if not self._release(stream):
            return
        self._note_loss(stream, reason)
        stream.sink.send(stream.stream_id, Lost(stream.epoch, reason))
        stream.sink.ended(stream.stream_id)

    def lose_all(self, reason: LossReason) -> None:
        for stream in list(self._streams):
            self.lose(stream, reason)

    def look_at_policy(self) -> Iterator[None]:
        """This region's policy is another one: what it does not permit any more moves, or is handed back. Each step is
        about one stream, and may have to decide about it.
        """
        for stream in list(self._streams):
            if stream in self._streams:
                self._look_at_policy_of(stream)
                yield

    def _look_at_policy_of(self, stream: RelayedStream) -> None:
        guard, admitted = self._floor.guard, stream.admitted
        if guard is None or admitted is None or guard.may_stay(admitted):
            return
        has_begun = stream.window_samples > 0
        is_at_once = not has_begun or guard.leaves_at_once(admitted.grant)
        within_ms = 0 if is_at_once else self._floor.settings.outside_policy_ms
        if within_ms and stream.leaving is not None:
            return  # its time runs already
        log.warning("relay.outside_policy", of_region=self._peer, epoch=stream.epoch, within_ms=within_ms)
        if not within_ms:
            self.lose(stream, LossReason.drained)
            return
        stream.sink.send(stream.stream_id, MoveAway(stream.epoch, MoveReason.outside_policy, within_ms))
        later = asyncio.get_running_loop().call_later
        stream.leaving = later(within_ms / 1_000, self._hand_back_if_outside, stream)

    def _hand_back_if_outside(self, stream: RelayedStream) -> None:
        stream.leaving = None
        guard = self._floor.guard
        if guard is not None and stream.admitted is not None and not guard.may_stay(stream.admitted):
            self.lose(stream, LossReason.drained)

    def wake(self) -> None:
        """The links to the engines wake by themselves."""

    def load(self) -> LoadReport:
        floor = self._floor
        return region_load(floor.region, floor.pool.loads(), is_draining=floor.is_draining)

    def pass_on(self, stream: RelayedStream, event: StreamEvent) -> None:
        match event:
            case Progress():
                stream.consumed_through_sample = event.audio_through_sample
            case FinalResult():
                if event.reason in _CUT_REASONS:
                    stream.pending_cuts -= 1
            case Granted():
                stream.window_samples = event.window_samples
                self._floor.metrics.opens.labels(self._peer, "granted").inc()
            case Refused():
                self._floor.metrics.opens.labels(self._peer, event.reason.value).inc()
            case Lost():
                self._note_loss(stream, event.reason)
            case _:
                pass
        if ends_stream(event):
            stream.upstream = None
            self._release(stream)
        stream.sink.send(stream.stream_id, event)
        if stream not in self._streams:
            stream.sink.ended(stream.stream_id)

    def _release(self, stream: RelayedStream) -> bool:
        if stream not in self._streams:
            return False
        self._streams.remove(stream)
        if stream.leaving is not None:
            stream.leaving.cancel()
        self._floor.count(self._peer, -1)
        if stream.upstream is not None:
            stream.upstream.cancel()
        return True

    def _refuse(self, sink: EventSink, stream_id: int, refusal: Refused) -> None:
        self._floor.metrics.opens.labels(self._peer, refusal.reason.value).inc()
        sink.send(stream_id, refusal)

    def _note_loss(self, stream: RelayedStream, reason: LossReason) -> None:
        self._floor.metrics.lost.labels(self._peer, reason.value).inc()
        log.warning("relay.stream_lost", of_region=self._peer, reason=reason.value, epoch=stream.epoch)
