"""A client of the native protocol that costs as little as can be: frames made beforehand, answers only looked at."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import TYPE_CHECKING, cast

from gateway.wire.codec import encode_client
from gateway.wire.messages import Finish, Start
from tests.benchmarks.pacing import MESSAGES_PER_BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

AUDIO_BYTES = 3_200
_TEXT, _BINARY, _CLOSE = 0x1, 0x2, 0x8
_HANDSHAKE_TIMEOUT_S = 20.0


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One whole masked message. Source: RFC 6455 §5.2."""
    mask = os.urandom(4)
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return bytes([0x80 | opcode]) + length + mask + masked


AUDIO_FRAME = client_frame(_BINARY, (1_000).to_bytes(2, "little") * (AUDIO_BYTES // 2))
_START_FRAME = client_frame(_TEXT, encode_client(Start()).encode())
_FINISH_FRAME = client_frame(_TEXT, encode_client(Finish()).encode())


class SessionBroken(Exception):
    """The server refused the session, or ended it before its time."""


class WebSocketSession(asyncio.Protocol):
    """One session. `on_result` gets the nanoseconds from the audio that completed a block to the partial for it."""

    def __init__(self, request: bytes, on_result: Callable[[int], None]) -> None:
        self._request = request
        self._on_result = on_result
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._is_upgraded = False
        self._sent = 0
        self._completed_block_at_ns = 0
        self.is_finished = False
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    async def until_started(self) -> None:
        """Raises SessionBroken."""
        await self._started

    async def until_closed(self) -> None:
        await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        if not self._is_upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._received = head
                return
            self._upgrade(head)
        at = 0
        while True:
            after = _end_of_frame(data, at)
            if after < 0:
                break
            self._take(data, at, after)
            at = after
        self._received = data[at:]

    def _upgrade(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101"):
            self._break(head.partition(b"\r\n")[0].decode())
            return
        self._is_upgraded = True
        self._write(_START_FRAME)

    def _take(self, data: bytes, at: int, after: int) -> None:
        payload_at = at + (2 if data[at + 1] < 126 else 4)
        if data.startswith(b'{"type":"partial"', payload_at):
            self._on_result(time.perf_counter_ns() - self._completed_block_at_ns)
        elif data.startswith(b'{"type":"started"', payload_at):
            self._started.set_result(None)
        elif data.startswith(b'{"type":"finished"', payload_at):
            self.is_finished = True
        elif data.startswith(b'{"type":"error"', payload_at):
            self._break(data[payload_at:after].decode())
        elif data[at] & 0x0F == _CLOSE:
            self._write(client_frame(_CLOSE, (1_000).to_bytes(2, "big")))

    def _break(self, why: str) -> None:
        if not self._started.done():
            self._started.set_exception(SessionBroken(why))

    def connection_lost(self, error: Exception | None) -> None:
        self._break("the connection was closed")
        if not self._closed.done():
            self._closed.set_result(None)

    def send_audio(self) -> None:
        self._sent += 1
        if self._sent % MESSAGES_PER_BLOCK == 0:
            self._completed_block_at_ns = time.perf_counter_ns()
        self._write(AUDIO_FRAME)

    def finish(self) -> None:
        self._write(_FINISH_FRAME)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)


def _end_of_frame(data: bytes, at: int) -> int:
    """Where the unmasked frame that begins at `at` ends; -1 while it is not whole. No frame here has 64 KiB."""
    if len(data) < at + 4:
        return -1  # the shortest one, a close without a reason, has four bytes
    size = data[at + 1]
    after = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big") if size == 126 else at + 2 + size
    return after if after <= len(data) else -1


def upgrade_request(path: str, host: str, token: str | None) -> bytes:
    """The bytes that open a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def open_session(
    host: str, port: int, request: bytes, on_result: Callable[[int], None] = lambda _ns: None
) -> WebSocketSession:
    """Connect and wait for `started`. Raises SessionBroken, OSError, TimeoutError."""
    session = WebSocketSession(request, on_result)
    async with asyncio.timeout(_HANDSHAKE_TIMEOUT_S):
        await asyncio.get_running_loop().create_connection(lambda: session, host, port)
        await session.until_started()
    return session
