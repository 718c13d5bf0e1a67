"""One gateway's link: commands of many streams in, their events out, one message for each turn of the event loop.

These must stay true:
  - Whatever arrives, the process and the other links go on: a stream that breaks the protocol is lost, a link without
    a proper hello is closed.
  - A gateway that does not read is dropped when `max_queued_events` wait for it; until then nobody waits for it.
  - When the link ends, for whatever reason, its streams are cancelled and their slots free.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog
from google.protobuf.message import DecodeError

from engines.errors import LinkMisused
from engines.interface import LossReason, Refused
from engines.proto import engine_pb2
from engines.server.codec import append_event, decode_open, fill_load

if TYPE_CHECKING:
    from engines.interface import StreamEvent
    from engines.server.streams import HostedStream, StreamHost

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
    engine_leaving = "engine_leaving"


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`max_events_per_message` keeps a message far below gRPC's 4 MiB."""

    heartbeat_interval_ms: int
    hello_timeout_ms: int = 5_000
    max_queued_events: int = 50_000
    max_events_per_message: int = 512


class LinkCall(Protocol):
    """The part of grpc.aio.ServicerContext that a link uses. `read` gives something that is not bytes at the end."""

    async def read(self) -> Any: ...

    async def write(self, message: bytes) -> None: ...


class Link:
    """Runs for as long as one `Link` call. An EventSink for its streams."""

    def __init__(self, host: StreamHost, settings: LinkSettings) -> None:
        self._host = host
        self._settings = settings
        self._streams: dict[int, HostedStream] = {}
        self._queued: deque[tuple[int, StreamEvent]] = deque()
        self._wake = asyncio.Event()
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._end: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()
        self._is_load_due = True
        self._reported_changes = -1
        self._gateway = ""

    async def run(self, call: LinkCall) -> LinkEnd:
        """Serve until the gateway leaves, is dropped, or `end` is called. Cancelled when the connection breaks."""
        end = LinkEnd.connection_lost
        try:
            if not await self._take_hello(call):
                end = LinkEnd.no_hello
                return end
            log.info("link.opened", gateway=self._gateway)
            async with asyncio.TaskGroup() as tasks:
                halves = [tasks.create_task(self._read(call)), tasks.create_task(self._write(call))]
                end = await self._end
                for half in halves:
                    half.cancel()
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

    async def _take_hello(self, call: LinkCall) -> bool:
        try:
            async with asyncio.timeout(self._settings.hello_timeout_ms / 1_000):
                payload = await call.read()
        except TimeoutError:
            return False
        message = _parse(payload)
        if message is None or message.hello.protocol_version < 1:
            return False
        self._gateway = message.hello.gateway
        self.beat()  # the gateway counts the engine as connected from its first load report
        self._take(message)
        return True

    async def _read(self, call: LinkCall) -> None:
        while isinstance(payload := await call.read(), bytes):
            message = _parse(payload)
            if message is None:
                self.end(LinkEnd.malformed)
                return
            self._take(message)
        self.end(LinkEnd.gateway_left)

    def _take(self, message: engine_pb2.ToEngine) -> None:
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

    def _take_other(self, command: engine_pb2.StreamCommand, stream: HostedStream | None) -> None:
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

    def _open(self, command: engine_pb2.StreamCommand, stream: HostedStream | None) -> None:
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
            while self._queued or self._is_load_due:
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
        self._is_load_due = False
        return message


def _parse(payload: object) -> engine_pb2.ToEngine | None:
    """None for what is no message: damaged bytes, or the end of the call."""
    if not isinstance(payload, bytes):
        return None
    try:
        return engine_pb2.ToEngine.FromString(payload)
    except DecodeError:
        return None
