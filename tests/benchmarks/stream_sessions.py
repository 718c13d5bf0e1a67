"""One paced stream of each kind of server: ours over the link, ours over WebSocket, sherpa-onnx's over WebSocket.

All of them cost as little as can be: messages are made beforehand, answers only searched for what is timed.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
import numpy as np

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    Lost,
    OpenStream,
    PartialResult,
    Progress,
    Refused,
    StreamOptions,
)
from gateway.wire.codec import encode_client
from gateway.wire.messages import Finish, Start
from tests.benchmarks.stream_audio import CHUNK_SAMPLES, chunks_of
from tests.benchmarks.stream_timing import StreamTiming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import StreamEvent
    from regions.links.grpc_link import GrpcLink
    from tests.benchmarks.stream_timing import Timings
    from tests.harness.recordings import Samples

_TEXT, _BINARY, _CLOSE = 0x1, 0x2, 0x8
_WINDOW_SLACK_CHUNKS = 2


class PacedStream(Protocol):
    """What the load drives."""

    def send_audio(self) -> None:
        """Send the next 100 ms."""

    def finish(self) -> None:
        """No audio follows."""

    def abort(self) -> None:
        """Go away without a word."""


def unmasked_frame(opcode: int, payload: bytes) -> bytes:
    """One whole message under a mask of zeros, which changes nothing. Source: RFC 6455 §5.2."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def link_messages(track: Samples) -> list[bytes]:
    """The track for a link."""
    return [chunk.astype("<i2").tobytes() for chunk in chunks_of(track)]


def gateway_messages(track: Samples) -> list[bytes]:
    """The track as frames of the native protocol."""
    return [unmasked_frame(_BINARY, pcm16) for pcm16 in link_messages(track)]


def sherpa_messages(track: Samples) -> list[bytes]:
    """The track as frames of float32 samples."""
    return [unmasked_frame(_BINARY, (chunk.astype("<f4") / np.float32(32_768)).tobytes()) for chunk in chunks_of(track)]


class LinkPacedStream:
    """A stream on the gateway's own link to an engine."""

    def __init__(self, link: GrpcLink, name: str, messages: Sequence[bytes], timings: Timings) -> None:
        self._messages = messages
        self._timing = StreamTiming(timings)
        self._sent_chunks = 0
        self._consumed_samples = 0
        self._window_samples = 0
        self._is_ended = False
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        opened = OpenStream(session_id=name, tenant="benchmark", epoch=1, start_sample=0, options=StreamOptions())
        self._stream = link.open(opened, self._hear)

    def _hear(self, event: StreamEvent) -> None:
        now_ns = time.perf_counter_ns()
        match event:
            case Progress():
                self._consumed_samples = event.audio_through_sample
                self._timing.step_done(event.audio_through_sample, now_ns)
            case PartialResult():
                self._timing.words_came(event.end_sample, now_ns)
            case FinalResult(reason=EndReason.finish):
                self._is_ended = True
                self._timing.last_result_came(now_ns)
            case Granted():
                self._window_samples = event.window_samples
                self.started.set_result(None)
            case Refused() | Lost():
                self._break(event.reason.value)
            case _:
                pass

    def _break(self, why: str) -> None:
        self._is_ended = True
        if not self.started.done():
            self.started.set_result(None)
        self._timing.broke(why)

    def send_audio(self) -> None:
        if self._is_ended:
            return
        ahead_samples = (self._sent_chunks + _WINDOW_SLACK_CHUNKS) * CHUNK_SAMPLES - self._consumed_samples
        if ahead_samples > self._window_samples:
            self._stream.cancel()
            self._break("the engine fell behind by more than its window")
            return
        self._stream.send_audio(self._messages[self._sent_chunks % len(self._messages)])
        self._sent_chunks += 1
        self._timing.sent(time.perf_counter_ns())

    def finish(self) -> None:
        self._timing.finished(time.perf_counter_ns())
        self._stream.finish(self._sent_chunks * CHUNK_SAMPLES)

    def abort(self) -> None:
        self._is_ended = True
        self._stream.cancel()


class WebSocketStream(asyncio.Protocol):
    """What the two kinds over WebSocket share. Messages of servers here are shorter than 64 KiB."""

    last_message = b""

    def __init__(self, request: bytes, messages: Sequence[bytes], timings: Timings) -> None:
        self._request = request
        self._messages = messages
        self.timing = StreamTiming(timings)
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._is_upgraded = False
        self._is_ended = False
        self._sent_chunks = 0
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @abstractmethod
    def upgraded(self) -> None:
        """The WebSocket is there."""

    @abstractmethod
    def take(self, message: bytes, now_ns: int) -> None:
        """One whole text message of the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now_ns = time.perf_counter_ns()
        data = self._received + data if self._received else data
        if not self._is_upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._received = head
                return
            self._upgrade(head)
        at = 0
        while (bounds := _frame(data, at)) is not None:
            begin, end_at = bounds
            if data[at] & 0x0F == _TEXT:
                self.take(data[begin:end_at], now_ns)
            elif data[at] & 0x0F == _CLOSE:
                self._write(unmasked_frame(_CLOSE, (1_000).to_bytes(2, "big")))
            at = end_at
        self._received = data[at:]

    def _upgrade(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101"):
            self.end(head.partition(b"\r\n")[0].decode())
            return
        self._is_upgraded = True
        self.upgraded()

    def end(self, why: str | None = None) -> None:
        """Nothing more is expected; `why` it came unasked for."""
        if why is not None and not self._is_ended:
            self.timing.broke(why)
        self._is_ended = True
        if not self.started.done():
            self.started.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.end("the connection was closed")

    def send_audio(self) -> None:
        if self._is_ended:
            return
        self._write(self._messages[self._sent_chunks % len(self._messages)])
        self._sent_chunks += 1
        self.timing.sent(time.perf_counter_ns())

    def finish(self) -> None:
        self.timing.finished(time.perf_counter_ns())
        self._write(self.last_message)

    def abort(self) -> None:
        self._is_ended = True
        if self._transport is not None:
            self._transport.abort()

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)


class _GatewayMessage(msgspec.Struct):
    type: str
    end_ms: int = 0
    reason: str = ""


class GatewayStream(WebSocketStream):
    """A session of the native protocol. It tells of words, not of steps."""

    last_message = unmasked_frame(_TEXT, encode_client(Finish()).encode())
    _decode: Any = staticmethod(msgspec.json.Decoder(_GatewayMessage).decode)

    def upgraded(self) -> None:
        self._write(unmasked_frame(_TEXT, encode_client(Start()).encode()))

    def take(self, message: bytes, now_ns: int) -> None:
        said = self._decode(message)
        if said.type == "partial":
            self.timing.words_came(said.end_ms * 16, now_ns)
        elif said.type == "started":
            self.started.set_result(None)
        elif said.type == "finished":
            self.timing.last_result_came(now_ns)
            self.end()
        elif said.type == "error":
            self.end(said.reason)


class SherpaStream(WebSocketStream):
    """sherpa-onnx sends a result for each step, says which words it has so far, and not which audio it has heard.

    An endpoint begins a new text and leaves the steps where they were. Source:
    sherpa-onnx/csrc/online-websocket-server-impl.cc.

    Args:
        step_end_sample: the audio that a step, counted from 0, waits for.
    """

    last_message = unmasked_frame(_TEXT, b"Done")

    def __init__(
        self, request: bytes, messages: Sequence[bytes], timings: Timings, step_end_sample: Callable[[int], int]
    ) -> None:
        super().__init__(request, messages, timings)
        self._step_end_sample = step_end_sample
        self._steps = 0
        self._last_text = b""

    def upgraded(self) -> None:
        self.started.set_result(None)

    def take(self, message: bytes, now_ns: int) -> None:
        if message == b"Done!":
            self.end()
            return
        through_sample = self._step_end_sample(self._steps)
        self._steps += 1
        self.timing.step_done(through_sample, now_ns)
        text = message[: message.index(b'"tokens"')]
        if text != self._last_text:
            self._last_text = text
            if not text.startswith(b'{ "text": "",'):
                self.timing.words_came(through_sample, now_ns)
        if b'"is_eof": true' in message:
            self.timing.last_result_came(now_ns)


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the unmasked frame at `at` begins and ends; None while it is not whole."""
    if len(data) < at + 2:
        return None
    size = data[at + 1]
    begin = at + 2
    if size == 126:
        begin = at + 4
        size = int.from_bytes(data[at + 2 : at + 4], "big")
    end = begin + size
    return (begin, end) if len(data) >= end and end > at + 1 else None
