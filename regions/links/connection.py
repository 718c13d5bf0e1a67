"""One connection to one engine or relay, from dialling to its loss, shared by all sessions that are placed there.

These must stay true:
  - `open` and everything a stream is told return at once and call nobody back but with an outcome.
  - When the connection is lost, each of its streams hears `Lost` exactly once.
  - What waits to be sent is bounded by `max_queued_bytes`; an engine that does not read that much is lost.
  - An engine is alive while its load reports come: it sends them only while its inference thread turns. A way there
    that swallows everything is found by pings without answers.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import TYPE_CHECKING, Any, Protocol

import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from engines.interface import LossReason, MoveReason
from engines.proto import engine_pb2
from policies.routing_facts import RegionState
from regions.links.command_codec import encode_hello, encode_open, encode_ping
from regions.links.event_codec import MalformedEvent, decode_event, decode_load, decode_region
from regions.links.heartbeat import Heartbeat
from regions.links.link_break import LinkBreak, is_distrust
from regions.links.link_stream import LinkStream
from regions.links.move_pace import MovePace
from regions.links.outbox import Outbox
from regions.links.outcomes import StreamGranted

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import LoadReport, OpenStream, StreamEvent
    from regions.links.certificates import CertificatePair
    from regions.links.heartbeat import RttSample
    from regions.links.outcomes import StreamOutcome
    from regions.links.region_status import RegionStatus
    from regions.links.settings import LinkSettings

_METHOD = "/patchbay.engine.v1.Engine/Link"
_OVERSLEPT_S = 0.1
_READ_UP_S = 0.25
"""After it overslept, a process has read by then what waited for it."""
_READER_KNOWS_S = 0.5
_LEAST_BEAT_S = 0.01
_LEAST_MOVE_MS = 1_000
"""A stream that is told last still has so long."""
_SOONER_S = 0.5
"""By so much a deadline must come nearer to change the pace: what reports say of it differs a little each time."""

_OVERDUE_MS = 1
"""Of an engine whose streams should be gone by now."""
_DRAINS = (MoveReason.region_draining, MoveReason.engine_draining)

log = structlog.get_logger("links")


class LinkWitness(Protocol):
    """Who is told what a connection sees."""

    def note_load(self, connection: Connection) -> None:
        """A load report came."""

    def note_outcome(self, connection: Connection, outcome: StreamOutcome) -> None:
        """A stream was answered, or ended."""

    def note_rtt(self, sample: RttSample) -> None:
        """A ping was answered."""


class Connection(Outbox):
    """Run once. `pair`: the certificates that it is made with, if any."""

    def __init__(
        self, name: str, settings: LinkSettings, witness: LinkWitness, *, pair: CertificatePair | None = None
    ) -> None:
        super().__init__(settings)
        loop = asyncio.get_running_loop()
        self._name = name
        self._settings = settings
        self._witness = witness
        self._last_stream_id = 0
        self.pair = pair
        self.streams: dict[int, LinkStream] = {}
        self.load: LoadReport | None = None
        self.region: RegionStatus | None = None
        self.cause: LinkBreak | None = None
        """Why it broke."""
        self._broken: asyncio.Future[LinkBreak] = loop.create_future()
        self._unanswered_opens = 0
        self._grants_since_report = 0
        self._heard_at_s = loop.time()
        self.answers_since_s = math.inf
        """When its first load report came, on the loop's clock."""
        self._heart = Heartbeat(interval_ms=settings.heartbeat_interval_ms, now_s=loop.time())
        self._is_ping_due = False
        self._is_retired = False
        self._answered = asyncio.Event()
        self._move_reason: MoveReason | None = None
        self._move_by_s = math.inf
        self._must_tell = asyncio.Event()
        self._told: set[int] = set()
        self._is_again = False
        """Those of `_told` were told before."""

    @property
    def is_connected(self) -> bool:
        """Whether the engine answers: it sent a load report on this connection."""
        return self.load is not None and not self.is_broken

    @property
    def placed_since_report(self) -> int:
        return self._unanswered_opens + self._grants_since_report

    async def until_connected(self) -> None:
        await self._answered.wait()

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> LinkStream:
        self._last_stream_id += 1
        opened = LinkStream(self, self._last_stream_id, stream, on_event)
        opened.opened_at_s = asyncio.get_running_loop().time()
        self.streams[opened.stream_id] = opened
        self._unanswered_opens += 1
        self.queue(encode_open(opened.stream_id, stream))
        return opened

    def forget(self, stream: LinkStream, outcome: StreamOutcome) -> None:
        if self.streams.pop(stream.stream_id, None) is not None and not stream.is_answered:
            self._unanswered_opens -= 1
        self._told.discard(stream.stream_id)
        self._witness.note_outcome(self, outcome)
        if self._is_retired and not self.streams:
            self._break(LinkBreak.renewed)

    def note_granted(self, stream: LinkStream) -> None:
        elapsed_s = asyncio.get_running_loop().time() - stream.opened_at_s
        self._witness.note_outcome(self, StreamGranted(round(elapsed_s * 1_000)))

    def retire(self, *, move_in_s: float) -> None:
        """Takes no more streams and ends with its last one; those that stay are told to move then."""
        self._is_retired = True
        if not self.streams:
            self._break(LinkBreak.renewed)
            return
        asyncio.get_running_loop().call_later(move_in_s, self._move_all, MoveReason.operator)

    def overflow(self) -> None:
        self._break(LinkBreak.backlogged)

    async def run(self, channel: grpc.aio.Channel, *, gateway: str) -> None:
        """Converse until it breaks; then its streams are lost, also when cancelled."""
        hello = encode_hello(gateway, heartbeat_interval_ms=self._settings.heartbeat_interval_ms)
        try:
            async with channel:
                call = channel.stream_stream(_METHOD)()
                async with asyncio.TaskGroup() as tasks:
                    parts = [
                        tasks.create_task(part)
                        for part in (
                            self._read(call),
                            self._write(call, hello),
                            self._watch(),
                            self._beat(),
                            self._tell_to_move(),
                        )
                    ]
                    self.cause = await self._broken
                    for part in parts:
                        part.cancel()
                self._log_end(self.cause)
                # Before the channel is closed, which takes its time: sessions want to move on.
                self._lose_streams()
        finally:
            self.is_broken = True
            self._lose_streams()

    def _log_end(self, cause: LinkBreak) -> None:
        if self.load is None:
            return
        if cause is LinkBreak.renewed:
            log.info("link.renewed", replica=self._name)
        else:
            log.warning("link.lost", replica=self._name, reason=cause.value, streams=len(self.streams))

    def _break(self, cause: LinkBreak) -> None:
        """Give the connection up soon; the first cause counts. Calls nobody back."""
        self.is_broken = True
        if not self._broken.done():
            self._broken.set_result(cause)

    def _lose_streams(self) -> None:
        for stream in list(self.streams.values()):
            self._call_back(stream, stream.lose, LossReason.link_lost)

    # --- the wire -----------------------------------------------------------------------------------------

    async def _read(self, call: Any) -> None:
        try:
            while isinstance(payload := await call.read(), bytes):
                self._receive(engine_pb2.FromEngine.FromString(payload))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._break(await self._cause_of_end(call))
        except DecodeError:
            self._break(LinkBreak.malformed)
        else:
            self._break(LinkBreak.closed)

    async def _write(self, call: Any, hello: bytes) -> None:
        gap_s = self._settings.flush_gap_ms / 1_000
        loop = asyncio.get_running_loop()
        try:
            await call.write(hello)
            while True:
                await self.wait()
                while (message := self.next_message()) or self._is_ping_due:
                    if self._is_ping_due:
                        self._is_ping_due = False
                        await call.write(message + encode_ping(self._heart.ping(loop.time())))
                    else:
                        await call.write(message)
                    self.sent(message)
                # The next message gathers what comes meanwhile; one that comes after a pause goes at once.
                await asyncio.sleep(gap_s)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The reading half hears of it too, and why.
            await asyncio.sleep(_READER_KNOWS_S)
            self._break(LinkBreak.closed)

    async def _cause_of_end(self, call: Any) -> LinkBreak:
        """Of a call that is over."""
        if is_distrust(await call.code(), await call.details()):
            return LinkBreak.untrusted
        return LinkBreak.closed if self.load is not None else LinkBreak.unreachable

    # --- life signs ---------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Ping in every interval: with a message that goes anyway, or alone when none went."""
        loop = asyncio.get_running_loop()
        heart = self._heart
        while True:
            await asyncio.sleep(max(0.0, heart.rides_from_s - loop.time()))
            self._is_ping_due = True
            await asyncio.sleep(max(_LEAST_BEAT_S, heart.due_at_s - loop.time()))
            if self._is_ping_due:
                self.nudge()  # an engine that does not read has one ping waiting for it, no more

    async def _watch(self) -> None:
        """Give the engine up when it does not answer, or has been silent for too long."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1_000):
                await self._answered.wait()
        except TimeoutError:
            self._break(LinkBreak.unreachable)
            return
        budget_s = self._settings.liveness_ms / 1_000
        while (due_at_s := self._waiting_since_s() + budget_s) > loop.time():
            await asyncio.sleep(due_at_s - loop.time())
            if loop.time() - due_at_s > _OVERSLEPT_S:
                # It was this process that did not listen: what the engine sent meanwhile is still to be read.
                since_s = loop.time() - budget_s + min(_READ_UP_S, budget_s / 2)
                self._heard_at_s = max(self._heard_at_s, since_s)
                self._heart.forgive_until(since_s)
        self._break(LinkBreak.silent)

    def _waiting_since_s(self) -> float:
        """Since when the engine has owed a word."""
        pinged_at_s = self._heart.unanswered_since_s()
        return self._heard_at_s if pinged_at_s is None else min(self._heard_at_s, pinged_at_s)

    def _take_pong(self, pong: engine_pb2.Pong) -> None:
        now_s = asyncio.get_running_loop().time()
        now_unix_ms = time.time_ns() // 1_000_000
        sample = self._heart.pong(pong.sequence, unix_ms=pong.unix_ms, now_s=now_s, now_unix_ms=now_unix_ms)
        if sample is not None:
            self._witness.note_rtt(sample)

    # --- what comes ---------------------------------------------------------------------------------------

    def _receive(self, message: engine_pb2.FromEngine) -> None:
        streams = self.streams
        for entry in message.events:
            stream = streams.get(entry.stream_id)
            if stream is None:
                continue
            try:
                event = decode_event(entry)
            except MalformedEvent:
                self._call_back(stream, stream.break_off)
                continue
            was_answered = stream.is_answered
            self._call_back(stream, stream.receive, event)
            if not was_answered and stream.is_answered:
                self._note_answer(stream)
        if message.HasField("load"):
            self._take_load(decode_load(message.load))
        if message.HasField("region"):
            self.region = decode_region(message.region)
        if message.HasField("load"):
            self._follow_drain()
            self._witness.note_load(self)
        if message.HasField("pong"):
            self._take_pong(message.pong)

    def _note_answer(self, stream: LinkStream) -> None:
        """`forget` counts a stream that ended unanswered; this one was answered."""
        self._unanswered_opens -= 1
        if not stream.is_over:
            self._grants_since_report += 1
            if self._move_reason is not None:
                self._must_tell.set()

    def _take_load(self, load: LoadReport) -> None:
        if self.load is None:
            names = [f"{model.name} {model.version}" for model in load.models]
            log.info("link.connected", replica=self._name, models=names, slots=load.slots_total)
            self._answered.set()
            self.answers_since_s = asyncio.get_running_loop().time()
        self.load = load
        self._grants_since_report = 0
        self._heard_at_s = asyncio.get_running_loop().time()

    def _call_back(self, stream: LinkStream, tell: Callable[..., None], *arguments: object) -> None:
        """One session's fault must not take the other sessions' link with it."""
        try:
            tell(*arguments)
        except Exception:
            log.exception("link.callback_failed", replica=self._name, stream_id=stream.stream_id)
            stream.cancel()

    # --- moving away --------------------------------------------------------------------------------------

    def _follow_drain(self) -> None:
        """Streams move away from a region, or an engine, that says it is draining."""
        load, region = self.load, self.region
        if region is not None and region.state is not RegionState.active:
            if region.is_stopped or region.move_gap_ms:
                self._stop_moving()  # placement moves them, at the region's own pace, or nobody does
            else:
                self._move_all(MoveReason.region_draining)
        elif load is not None and load.is_draining:
            self._leave_engine(load.leaves_in_ms)
        else:
            self._stop_moving()

    def _leave_engine(self, leaves_in_ms: int) -> None:
        """An engine whose machine goes away may have less time than sessions are given.

        Who is still here long after had nowhere to go, and hears of it again: there may be a place by now.
        """
        within_ms = self._settings.move_within_ms
        if self._told and asyncio.get_running_loop().time() >= self._move_by_s + within_ms / 1_000:
            self._is_again = True
            self._told.clear()
            self._move_by_s = math.inf
            self._must_tell.set()
        if leaves_in_ms <= _OVERDUE_MS and self._is_again:
            leaves_in_ms = 0
        self.move_away(MoveReason.engine_draining, within_ms=min(within_ms, leaves_in_ms or within_ms))

    def _stop_moving(self) -> None:
        if self._move_reason in _DRAINS:
            self._move_reason = None
            self._is_again = False
            self._told.clear()

    def move_away(self, reason: MoveReason, *, within_ms: int) -> None:
        """Tell every stream that is granted, or will be, to move; the last still has `_LEAST_MOVE_MS`.

        Of several wishes the first reason counts, and the earliest deadline.
        """
        move_by_s = asyncio.get_running_loop().time() + within_ms / 1_000
        if self._move_reason is None:
            self._move_reason = reason
            self._move_by_s = move_by_s
            self._must_tell.set()
        elif move_by_s < self._move_by_s - _SOONER_S:
            self._move_by_s = move_by_s

    def _move_all(self, reason: MoveReason) -> None:
        self.move_away(reason, within_ms=self._settings.move_within_ms)

    async def _tell_to_move(self) -> None:
        """Each granted stream once a round, paced. A stream that is granted late is told as well."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        while True:
            await self._must_tell.wait()
            self._must_tell.clear()
            paced_by_s, pace = math.nan, None
            while (reason := self._move_reason) is not None and (stream := self._next_to_tell()) is not None:
                if pace is None or paced_by_s != self._move_by_s:
                    paced_by_s = self._move_by_s
                    pace = MovePace(
                        num_streams=len(self.streams) - len(self._told),
                        moves_per_s=settings.moves_per_s,
                        burst=settings.move_burst if pace is None else 0,
                        within_ms=max(1, int((paced_by_s - loop.time()) * 1_000)),
                    )
                await asyncio.sleep(pace.pause_s(random.random()))
                self._told.add(stream.stream_id)
                left_ms = int((self._move_by_s - loop.time()) * 1_000)
                self._call_back(stream, stream.move_away, reason, max(_LEAST_MOVE_MS, left_ms))

    def _next_to_tell(self) -> LinkStream | None:
        told = self._told
        for stream_id, stream in self.streams.items():
            if stream.is_answered and stream_id not in told:
                return stream
        return None
