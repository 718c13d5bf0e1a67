"""A WebSocket client that is a TCP socket and nothing else: it may be slow, rude, or wrong (RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

import msgspec

from gateway.wire import codec
from tests.harness.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.wire.messages import ServerMessage
    from tests.harness.region import Region

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
_LINGER_ZERO = struct.pack("ii", 1, 0)


def frame(
    opcode: int, payload: bytes = b"", *, is_final: bool = True, is_masked: bool = True, reserved_bits: int = 0
) -> bytes:
    """One frame as a client sends it, or as it must not."""
    first = (0x80 if is_final else 0) | reserved_bits << 4 | opcode
    mask_bit = 0x80 if is_masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, mask_bit | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first, mask_bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, len(payload))
    if not is_masked:
        return head + payload
    return head + bytes(4) + payload  # a mask of zeros is a mask


def upgrade_request(region: Region, token: str | None, *, extra: str = "") -> bytes:
    """The opening handshake's first half."""
    key = base64.b64encode(os.urandom(16)).decode()
    authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
    return (
        f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{region.http_port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{authorization}{extra}\r\n"
    ).encode()


class RawWebSocket:
    """One upgraded connection. Reads only when told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def socket(self) -> socket.socket:
        plain: socket.socket = self.writer.get_extra_info("socket")
        return plain

    async def send(self, data: bytes) -> None:
        """Waits while TCP holds us back."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_text(self, text: str) -> None:
        await self.send(frame(TEXT, text.encode()))

    async def send_audio(self, data: bytes) -> None:
        await self.send(frame(BINARY, data))

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload. Raises IncompleteReadError or ConnectionError at the connection's end."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def read_to_the_end(self, *, within_s: float = DEADLINE_S) -> Ending:
        """Everything that still comes, until the server closes the connection; TimeoutError if it does not."""
        ending = Ending()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(within_s):
                while True:
                    opcode, payload = await self.read_frame()
                    if opcode == TEXT:
                        ending.messages.append(codec.decode_server(payload))
                    elif opcode == CLOSE:
                        (ending.close_code,) = struct.unpack("!H", payload[:2]) if payload else (None,)
                        ending.close_reason = payload[2:].decode()
                        with contextlib.suppress(ConnectionError):
                            await self.send(frame(CLOSE, payload[:2]))
        return ending

    def half_close(self) -> None:
        """FIN: we say no more, and could still hear."""
        self.writer.write_eof()

    def reset(self) -> None:
        """RST: we are gone, and the server's TCP hears of it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.writer.transport.abort()


class Ending:
    """How a connection ended: the messages that still came, and the close frame, if there was one."""

    def __init__(self) -> None:
        self.messages: list[ServerMessage] = []
        self.close_code: int | None = None
        self.close_reason = ""

    def __repr__(self) -> str:
        last = msgspec.json.encode(self.messages[-1]).decode() if self.messages else "nothing"
        return f"Ending(close_code={self.close_code}, reason={self.close_reason!r}, last={last})"


@contextlib.asynccontextmanager
async def raw_connection(
    region: Region, *, receive_buffer_bytes: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection to the public port; closed without ceremony at the end."""
    plain = socket.socket()
    if receive_buffer_bytes is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", region.http_port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=2**16)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_websocket(
    region: Region, *, token: str | None = None, receive_buffer_bytes: int | None = None
) -> AsyncIterator[RawWebSocket]:
    """An upgraded connection with a good token, unless another is given."""
    async with raw_connection(region, receive_buffer_bytes=receive_buffer_bytes) as (reader, writer):
        writer.write(upgrade_request(region, region.token() if token is None else token))
        status = await reader.readuntil(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.1 101"), status
        yield RawWebSocket(reader, writer)
