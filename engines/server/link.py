"""One gateway's link: commands of many streams in, their events out, one message for each turn of the event loop.

These must stay true:
  - Whatever arrives, the process and the other links go on: a stream that breaks the protocol is lost, a link without
    a proper hello is closed.
  - A gateway that does not read is dropped when `max_queued_events` wait for it; until then nobody waits for it.
  - When the link ends, for whatever reason, its streams are cancelled and their slots free.
  - A gateway that said how often it pings, and is silent for several times as long, is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol

import grpc
import msgspec
import structlog
from google.protobuf.message import DecodeError

from engines.errors import LinkMisused
from engines.interface import LossReason, Refused
from engines.proto import engine_pb2
from engines.server.codec import append_event, decode_open, fill_load
from engines.server.link_host import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import StreamEvent
    from engines.server.link_host import LinkHost

_OVERSLEPT_S = 0.1
_READ_UP_S = 0.25
"""After it overslept, a process has read by then what waited for it."""
_LEAST_SILENCE_S = 0.5

log = structlog.get_logger("engine")


class LinkEnd(StrEnum):
    """Why a link ended."""

    gateway_left = "gateway_left"
    connection_lost = "connection_lost"
    no_hello = "no_hello"
    malformed = "malformed"
    """A message that is none."""
    too_slow = "too_slow"
    """The gateway did not read its events."""
    gateway_silent = "gateway_silent"
    """Its pings stopped coming."""
    not_trusted = "not_trusted"
    """The gateway's name does not go with its certificate."""
    certificate_expired = "certificate_expired"
    engine_leaving = "engine_leaving"


STATUS_OF_END = {
    LinkEnd.no_hello: grpc.StatusCode.INVALID_ARGUMENT,
    LinkEnd.malformed: grpc.StatusCode.INVALID_ARGUMENT,
    LinkEnd.too_slow: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LinkEnd.gateway_silent: grpc.StatusCode.DEADLINE_EXCEEDED,
    LinkEnd.not_trusted: grpc.StatusCode.PERMISSION_DENIED,
    LinkEnd.certificate_expired: grpc.StatusCode.UNAUTHENTICATED,
    LinkEnd.engine_leaving: grpc.StatusCode.UNAVAILABLE,
}
"""How the call ends, as far as the gateway is still there to hear it."""


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`max_events_per_message` keeps a message far below gRPC's 4 MiB.

    `silent_intervals`: of the gateway's own heartbeat, without a word from it, and it is gone.
    """

    heartbeat_interval_ms: int
    silent_intervals: int = 6
    hello_timeout_ms: int = 5_000
    max_queued_events: int = 50_000
    max_events_per_message: int = 512


class LinkCall(Protocol):
    """The part of grpc.aio.ServicerContext that a link uses. `read` gives something that is not bytes at the end."""

    async def send_initial_metadata(self, initial_metadata: tuple[tuple[str, str], ...]) -> None: ...

    async def read(self) -> Any: ...

    async def write(self, message: bytes) -> None: ...


class Link(Generic[Stream]):
    """Runs for as long as one `Link` call. An EventSink for its streams.

    Args:
        admits: whether a gateway may call itself that; None: whatever it likes.
        fill_report: adds to a message that carries a load report.
    """

    def __init__(
        self,
        host: LinkHost[Stream],
        settings: LinkSettings,
        *,
        admits: Callable[[str], bool] | None = None,
        fill_report: Callable[[engine_pb2.FromEngine], None] | None = None,
    ) -> None:
        self._host = host
        self._settings = settings
        self._admits = admits
        self._fill_report = fill_report
        self._streams: dict[int, Stream] = {}
        self._queued: deque[tuple[int, StreamEvent]] = deque()
        self._wake = asyncio.Event()
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._end: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()
        self._is_load_due = True
        self._reported_changes = -1
        self._gateway = ""
        self._silence_s = 0.0
        self._heard_at_s = 0.0
        self._unanswered_ping: int | None = None

    @property
    def gateway(self) -> str:
        """What it calls itself; empty until it did."""
        return self._gateway

    @property
    def num_streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    async def run(self, call: LinkCall) -> LinkEnd:
        """Serve until the gateway leaves, is dropped, or `end` is called. Cancelled when the connection breaks."""
        end = LinkEnd.connection_lost
        try:
            # Else the first write sends it. Were that cancelled, gRPC would forget that it did, send it again with the
            # status, and fail: the gateway would never hear how its call ended.
            await call.send_initial_metadata(())
            refused = await self._take_hello(call)
            if refused is not None:
                end = refused
                return end
            log.info("link.opened", gateway=self._gateway)
            async with asyncio.TaskGroup() as tasks:
                parts = [tasks.create_task(self._read(call)), tasks.create_task(self._write(call))]
                if self._silence_s:
                    parts.append(tasks.create_task(self._watch()))
                end = await self._end
                for part in parts:
                    part.cancel()
            return end
        finally:
            log.info("link.closed", gateway=self._gateway, reason=end.value, streams=len(self._streams))
            for stream in list(self._streams.values()):
                self._host.cancel(stream)
            self._streams.clear()

    def end(self, reason: LinkEnd) -> None:
        """Leave `run` soon. The first reason counts."""
        if not self._end.done():
            self._end.set_result(reason)

    def beat(self) -> None:
        """Send a load report now."""
        self._is_load_due = True
        self._wake.set()

    async def flush(self) -> None:
        """Wait until gRPC has taken what was queued."""
        await self._flushed.wait()

    def send(self, stream_id: int, event: StreamEvent) -> None:
        self._queued.append((stream_id, event))
        self._flushed.clear()
        self._wake.set()
        if len(self._queued) > self._settings.max_queued_events:
            self.end(LinkEnd.too_slow)

    def ended(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)

    async def _take_hello(self, call: LinkCall) -> LinkEnd | None:
        """Why the gateway is not served, or None."""
        try:
            async with asyncio.timeout(self._settings.hello_timeout_ms / 1_000):
                payload = await call.read()
        except TimeoutError:
            return LinkEnd.no_hello
        message = _parse(payload)
        if message is None or message.hello.protocol_version < 1:
            return LinkEnd.no_hello
        if self._admits is not None and not self._admits(message.hello.gateway):
            return LinkEnd.not_trusted
        self._gateway = message.hello.gateway
        if message.hello.heartbeat_interval_ms:
            silence_ms = message.hello.heartbeat_interval_ms * self._settings.silent_intervals
            self._silence_s = max(_LEAST_SILENCE_S, silence_ms / 1_000)
        self._heard_at_s = asyncio.get_running_loop().time()
        self.beat()  # the gateway counts the engine as connected from its first load report
        self._take(message)
        return None

    async def _watch(self) -> None:
        """End the link when the gateway has been silent for too long."""
        loop = asyncio.get_running_loop()
        while (due_at_s := self._heard_at_s + self._silence_s) > loop.time():
            await asyncio.sleep(due_at_s - loop.time())
            if loop.time() - due_at_s > _OVERSLEPT_S:
                # It was this process that did not listen: what the gateway sent meanwhile is still to be read.
                self._heard_at_s = max(self._heard_at_s, loop.time() - self._silence_s + _READ_UP_S)
        self.end(LinkEnd.gateway_silent)

    async def _read(self, call: LinkCall) -> None:
        loop = asyncio.get_running_loop()
        while isinstance(payload := await call.read(), bytes):
            self._heard_at_s = loop.time()
            message = _parse(payload)
            if message is None:
                self.end(LinkEnd.malformed)
                return
            self._take(message)
        self.end(LinkEnd.gateway_left)

    def _take(self, message: engine_pb2.ToEngine) -> None:
        if message.HasField("ping"):
            self._unanswered_ping = message.ping.sequence
            self._wake.set()
        streams = self._streams
        for command in message.commands:
            stream_id = command.stream_id
            stream = streams.get(stream_id)
            try:
                if audio := command.audio:
                    if stream is not None:
                        self._host.audio(stream, audio)
                else:
                    self._take_other(command, stream)
            except LinkMisused:
                if stream is not None:
                    self._host.lose(stream, LossReason.protocol_broken)
        self._host.wake()

    def _take_other(self, command: engine_pb2.StreamCommand, stream: Stream | None) -> None:
        """Anything but audio. A stream that is not known was lost a moment ago; what its gateway says is late."""
        kind = command.WhichOneof("command")
        if kind == "open":
            self._open(command, stream)
        elif stream is None:
            return
        elif kind == "finalize":
            self._host.cut(stream, command.finalize.at_sample, is_last=False)
        elif kind == "finish":
            self._host.cut(stream, command.finish.at_sample, is_last=True)
        elif kind == "cancel":
            del self._streams[stream.stream_id]
            self._host.cancel(stream)

    def _open(self, command: engine_pb2.StreamCommand, stream: Stream | None) -> None:
        if stream is not None:
            raise LinkMisused("a stream was opened twice")
        asked = decode_open(command.open)
        if isinstance(asked, Refused):
            self.send(command.stream_id, asked)
            return
        opened = self._host.open(self, command.stream_id, asked)
        if opened is not None:
            self._streams[command.stream_id] = opened

    async def _write(self, call: LinkCall) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queued or self._is_load_due or self._unanswered_ping is not None:
                await call.write(self._next_message().SerializeToString())
            self._flushed.set()

    def _next_message(self) -> engine_pb2.FromEngine:
        message = engine_pb2.FromEngine()
        for _ in range(min(len(self._queued), self._settings.max_events_per_message)):
            append_event(message, *self._queued.popleft())
        host = self._host
        if not host.is_stalled and (self._is_load_due or self._reported_changes != host.slot_changes):
            self._reported_changes = host.slot_changes
            fill_load(message.load, host.load(), heartbeat_interval_ms=self._settings.heartbeat_interval_ms)
            if self._fill_report is not None:
                self._fill_report(message)
        self._is_load_due = False
        if self._unanswered_ping is not None:
            message.pong.sequence = self._unanswered_ping
            message.pong.unix_ms = time.time_ns() // 1_000_000
            self._unanswered_ping = None
        return message


def _parse(payload: object) -> engine_pb2.ToEngine | None:
    """None for what is no message: damaged bytes, or the end of the call."""
    if not isinstance(payload, bytes):
        return None
    try:
        return engine_pb2.ToEngine.FromString(payload)
    except DecodeError:
        return None
