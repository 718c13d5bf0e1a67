"""One long-lived gRPC stream to one engine, shared by all sessions that are placed there.

These must stay true:
  - `open` and everything a stream is told return at once and call nobody back.
  - When the link is lost, each stream hears `Lost` exactly once; no event comes to it from a later connection.
  - What waits to be sent is bounded by `max_queued_bytes`; an engine that does not read that much is lost.
  - An engine is alive while its load reports come: it sends them only while its inference thread turns.
"""

from __future__ import annotations

import asyncio
import errno
import math
import random
import socket
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from engines.interface import LossReason, Lost, RefusalReason, Refused
from engines.proto import engine_pb2
from regions.links.command_codec import encode_hello, encode_open
from regions.links.event_codec import MalformedEvent, decode_event, decode_load
from regions.links.link_stream import LinkStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import LoadReport, OpenStream, StreamEvent
    from regions.links.settings import LinkSettings

_METHOD = "/patchbay.engine.v1.Engine/Link"
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Reconnecting is the link's own business: the library waits a second and more between attempts.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    # Channels to one address share a connection, and its back-off, unless told not to.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
_OVERSLEPT_S = 0.1
FAILURE_REMEMBERED_S = 5.0

log = structlog.get_logger("links")


class LinkBreak(StrEnum):
    """Why a link was lost, or not made."""

    unreachable = "unreachable"
    silent = "silent"
    """No load report for the liveness budget."""
    closed = "closed"
    """The engine or the network ended the call."""
    backlogged = "backlogged"
    """The engine did not read."""
    malformed = "malformed"


class GrpcLink:
    """A link to the engine at `address`, `unix:/path` or `host:port`; `run` makes it, and makes it again.

    Args:
        gateway: what this gateway process calls itself.
        retry_after_ms: advice to sessions that are refused because the engine is not connected.
    """

    def __init__(self, address: str, settings: LinkSettings, *, gateway: str, retry_after_ms: int = 500) -> None:
        self.address = address
        self._settings = settings
        # A pydantic model's attributes cost more than the rest of queueing a message.
        self._max_message_bytes = settings.max_message_bytes
        self._max_commands_per_message = settings.max_commands_per_message
        self._max_queued_bytes = settings.max_queued_bytes
        self._flush_gap_s = settings.flush_gap_ms / 1_000
        self._gateway = gateway
        self._retry_after_ms = retry_after_ms
        self._last_stream_id = 0
        self._streams: dict[int, LinkStream] = {}
        self._load: LoadReport | None = None
        self._unanswered_opens = 0
        self._grants_since_report = 0
        self._is_broken = True
        self._broken: asyncio.Future[LinkBreak] | None = None
        self._heard_at_s = 0.0
        self._failed_at_s = -math.inf
        self._wake = asyncio.Event()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_commands = 0
        self._messages: deque[bytes] = deque()
        self._queued_bytes = 0

    @property
    def is_connected(self) -> bool:
        """Whether the engine answers: it sent a load report on this connection."""
        return self._load is not None and not self._is_broken

    @property
    def load(self) -> LoadReport | None:
        """The last report of the connected engine."""
        return self._load if self.is_connected else None

    @property
    def placed_since_report(self) -> int:
        """Streams that the last report does not count yet."""
        return self._unanswered_opens + self._grants_since_report

    @property
    def free_slots(self) -> int:
        """Of all models together, by the last report, less what was placed since."""
        load = self.load
        return 0 if load is None else load.slots_total - load.slots_used - self.placed_since_report

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    @property
    def has_failed_lately(self) -> bool:
        """Whether the engine gave up a stream of its own accord a moment ago, though its connection stands."""
        return asyncio.get_running_loop().time() - self._failed_at_s < FAILURE_REMEMBERED_S

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> LinkStream:
        """Ask the engine for a slot; `Refused` with `unreachable` when it is not connected. See EnginePool.open."""
        self._last_stream_id += 1
        opened = LinkStream(self, self._last_stream_id, stream, on_event)
        if not self.is_connected:
            refusal = Refused(stream.epoch, RefusalReason.unreachable, self._retry_after_ms)
            asyncio.get_running_loop().call_soon(opened.receive, refusal)
            return opened
        self._streams[opened.stream_id] = opened
        self._unanswered_opens += 1
        self.queue(encode_open(opened.stream_id, stream))
        return opened

    async def run(self) -> None:
        """Keep the link up until cancelled; then every stream is lost."""
        # Held for the life of the process: grpcio ends its poller with the last channel, and waits for it on the event
        # loop, for ever if the channel's last write is still under way (seen with an engine that was stopped).
        grpc.aio.init_grpc_aio()
        attempts = 0
        try:
            while True:
                had_connected = await self._converse()
                attempts = 1 if had_connected else attempts + 1
                await self._wait_to_dial(attempts)
        finally:
            self._is_broken = True
            self._lose_streams()

    def queue(self, command: bytes) -> None:
        if self._is_broken:
            return
        self._parts.append(command)
        self._count_queued(len(command))

    def queue_audio(self, head: bytes, pcm16: bytes) -> None:
        if self._is_broken:
            return
        self._parts += (head, pcm16)
        self._count_queued(len(head) + len(pcm16))

    def forget(self, stream: LinkStream) -> None:
        if self._streams.pop(stream.stream_id, None) is not None and not stream.is_answered:
            self._unanswered_opens -= 1

    def _count_queued(self, num_bytes: int) -> None:
        self._parts_bytes += num_bytes
        self._parts_commands += 1
        if self._parts_bytes >= self._max_message_bytes or self._parts_commands >= self._max_commands_per_message:
            self._seal()
        if self._queued_bytes + self._parts_bytes > self._max_queued_bytes:
            self._break(LinkBreak.backlogged)
        self._wake.set()

    def _seal(self) -> None:
        """What was gathered becomes one message."""
        self._messages.append(b"".join(self._parts))
        self._queued_bytes += self._parts_bytes
        self._parts = []
        self._parts_bytes = 0
        self._parts_commands = 0

    async def _converse(self) -> bool:
        """One connection, from dialling to its loss; whether the engine ever answered."""
        loop = asyncio.get_running_loop()
        self._start_afresh(loop)
        broken = self._broken = loop.create_future()
        async with grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS) as channel:
            call = channel.stream_stream(_METHOD)()
            async with asyncio.TaskGroup() as tasks:
                halves = [
                    tasks.create_task(self._read(call)),
                    tasks.create_task(self._write(call)),
                    tasks.create_task(self._watch()),
                ]
                cause = await broken
                for half in halves:
                    half.cancel()
            had_connected = self._load is not None
            if had_connected:
                log.warning("link.lost", replica=self.address, reason=cause.value, streams=len(self._streams))
            # Before the channel is closed, which takes its time: sessions want to move on.
            self._lose_streams()
        return had_connected

    def _start_afresh(self, loop: asyncio.AbstractEventLoop) -> None:
        self._load = None
        self._unanswered_opens = 0
        self._grants_since_report = 0
        self._parts = []
        self._parts_bytes = self._parts_commands = self._queued_bytes = 0
        self._messages.clear()
        self._wake.clear()
        self._heard_at_s = loop.time()
        self._is_broken = False

    def _break(self, cause: LinkBreak) -> None:
        """Give the connection up soon; the first cause counts. Calls nobody back."""
        self._is_broken = True
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(cause)

    def _lose_streams(self) -> None:
        for stream in list(self._streams.values()):
            self._call_back(stream, stream.lose, LossReason.link_lost)

    async def _read(self, call: Any) -> None:
        try:
            while isinstance(payload := await call.read(), bytes):
                self._receive(engine_pb2.FromEngine.FromString(payload))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._break(LinkBreak.closed if self._load is not None else LinkBreak.unreachable)
        except DecodeError:
            self._break(LinkBreak.malformed)
        else:
            self._break(LinkBreak.closed)

    async def _write(self, call: Any) -> None:
        gap_s = self._settings.flush_gap_ms / 1_000
        try:
            await call.write(encode_hello(self._gateway))
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._messages or self._parts:
                    if not self._messages:
                        self._seal()
                    message = self._messages.popleft()
                    await call.write(message)
                    self._queued_bytes -= len(message)
                # The next message gathers what comes meanwhile; one that comes after a pause goes at once.
                await asyncio.sleep(gap_s)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._break(LinkBreak.closed if self._load is not None else LinkBreak.unreachable)

    async def _watch(self) -> None:
        """Give the engine up when it has been silent for too long."""
        loop = asyncio.get_running_loop()
        while True:
            budget_ms = self._settings.connect_timeout_ms if self._load is None else self._settings.liveness_ms
            due_at_s = self._heard_at_s + budget_ms / 1_000
            if loop.time() >= due_at_s:
                self._break(LinkBreak.unreachable if self._load is None else LinkBreak.silent)
                return
            await asyncio.sleep(due_at_s - loop.time())
            overslept_s = loop.time() - due_at_s
            if overslept_s > _OVERSLEPT_S:
                # It was this process that did not listen: what the engine sent meanwhile is still to be read.
                self._heard_at_s += overslept_s

    def _receive(self, message: engine_pb2.FromEngine) -> None:
        streams = self._streams
        for entry in message.events:
            stream = streams.get(entry.stream_id)
            if stream is None:
                continue
            try:
                event = decode_event(entry)
            except MalformedEvent:
                self._call_back(stream, stream.break_off)
                continue
            if isinstance(event, Lost):
                self._failed_at_s = asyncio.get_running_loop().time()
            was_answered = stream.is_answered
            self._call_back(stream, stream.receive, event)
            if not was_answered and stream.is_answered:
                self._note_answer(stream)
        if message.HasField("load"):
            self._take_load(decode_load(message.load))

    def _note_answer(self, stream: LinkStream) -> None:
        """`forget` counts a stream that ended unanswered; this one was answered."""
        self._unanswered_opens -= 1
        if not stream.is_over:
            self._grants_since_report += 1

    def _take_load(self, load: LoadReport) -> None:
        if self._load is None:
            names = [f"{model.name} {model.version}" for model in load.models]
            log.info("link.connected", replica=self.address, models=names, slots=load.slots_total)
        self._load = load
        self._grants_since_report = 0
        self._heard_at_s = asyncio.get_running_loop().time()

    def _call_back(self, stream: LinkStream, tell: Callable[..., None], *arguments: object) -> None:
        """One session's fault must not take the other sessions' link with it."""
        try:
            tell(*arguments)
        except Exception:
            log.exception("link.callback_failed", replica=self.address, stream_id=stream.stream_id)
            stream.cancel()

    async def _wait_to_dial(self, attempts: int) -> None:
        settings = self._settings
        if self.address.startswith("unix:"):
            while True:
                await asyncio.sleep(settings.local_probe_ms / 1_000)
                if _is_listening(self.address.removeprefix("unix:")):
                    return
        longest_ms = min(settings.reconnect_max_ms, settings.reconnect_min_ms * 2 ** min(attempts - 1, 16))
        await asyncio.sleep(random.uniform(longest_ms / 2, longest_ms) / 1_000)


def _is_listening(path: str) -> bool:
    """Costs a few microseconds, where dialling through gRPC costs a channel."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN, errno.EINPROGRESS)
