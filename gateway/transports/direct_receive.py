"""aiohttp's WebSocket with the reader handing each message straight to a callback, in the turn it arrives; and messages
that belong together written together.

`async for` costs a deque, a future and a task wake for every message: about a third of the CPU of a gateway that
forwards 100 ms messages (measured in docs/benchmarks.md). This replaces a private class of aiohttp, so the version is
pinned in pyproject.toml, and tests/gateway/transports/test_direct_receive.py fails if its inside changes.

Order stays true: text and binary messages go the same way; close, ping and pong still go through `receive`. aiohttp's
own back-pressure is bypassed, so whoever takes the messages must pause the connection itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import ClientConnectionResetError, WSMessage, WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp._websocket.models import WSMessageTextBytes
    from aiohttp._websocket.writer import WebSocketWriter
    from aiohttp.web_protocol import RequestHandler
    from aiohttp.web_request import BaseRequest

_READ_LIMIT_BYTES = 65_536
_WHOLE_TEXT = 0x80 | WSMsgType.TEXT
_LET_GO = WSMessage(WSMsgType.TEXT, "", None)


class _DirectQueue(WebSocketDataQueue):
    take: Callable[[str | bytes], None] | None = None
    failed: Callable[[BaseException], None] | None = None

    def feed_data(self, data: WSMessage | WSMessageTextBytes, size: int) -> None:
        if self.take is not None and (data.type is WSMsgType.BINARY or data.type is WSMsgType.TEXT):
            self.take(data.data)
        else:
            super().feed_data(data, size)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """The reader met what is no WebSocket message, or one that is too large. `receive` gives it as a message of
        type ERROR, so that the client can be told why before the connection is closed.
        """
        if self.failed is not None:
            self.failed(exc)
        else:
            super().feed_data(WSMessage(WSMsgType.ERROR, exc, None), 0)


class DirectWebSocket(web.WebSocketResponse):
    """A WebSocketResponse that can be switched from `receive` to callbacks."""

    _queue: _DirectQueue
    _handler: RequestHandler

    def _post_start(self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        super_loop = self._loop
        if super_loop is None:
            raise RuntimeError("prepare() has not set the loop")
        self._ws_protocol = protocol
        self._writer = writer
        self._handler = request.protocol
        self._queue = _DirectQueue(request.protocol, _READ_LIMIT_BYTES, loop=super_loop)
        self._reader = self._queue
        self._parser = WebSocketReader(
            self._queue, self._max_msg_size, compress=bool(self._compress), decode_text=self._decode_text
        )
        request.protocol.set_parser(self._parser)

    @property
    def has_buffered(self) -> bool:
        """Whether messages wait for `receive`."""
        return bool(self._queue._buffer)

    def divert(self, take: Callable[[str | bytes], None], failed: Callable[[BaseException], None]) -> None:
        """From here on data messages go to `take`. Nothing may be buffered: their order would change."""
        if self.has_buffered:
            raise RuntimeError("messages wait for receive(); take them first")
        self._queue.take = take
        self._queue.failed = failed

    async def send_texts(self, texts: Iterable[bytes]) -> None:
        """Send text messages with a single write, and wait while the peer does not read.

        Raises:
            ClientConnectionResetError: the connection is closed, or closing.
        """
        transport, writer = self._handler.transport, self._writer
        if transport is None or transport.is_closing() or writer is None or writer._closing:
            raise ClientConnectionResetError("Cannot write to closing transport")
        parts = []
        for text in texts:
            parts.append(_text_head(len(text)))
            parts.append(text)
        transport.write(b"".join(parts))
        if self._handler.writing_paused:
            await self._handler._drain_helper()

    async def restore(self) -> None:
        """Data goes nowhere from here on, and whoever waits in `receive` is let go, so that `close` can wait there for
        the peer's answer. aiohttp's own way of breaking off a `receive` makes it skip that wait: the bytes that a peer
        is still sending then reset the connection, and the last messages to it are lost.
        """
        self._queue.take = _ignore
        self._queue.failed = None
        while self._waiting:
            WebSocketDataQueue.feed_data(self._queue, _LET_GO, 0)
            await asyncio.sleep(0)

    def abort(self) -> None:
        """End the connection at once, with whatever the peer has not taken."""
        if self._handler.transport is not None:
            self._handler.transport.abort()

    def pause_reading(self) -> None:
        """Stop reading from the connection; TCP holds the client back."""
        self._handler.pause_reading()

    def resume_reading(self) -> None:
        self._handler.resume_reading()


def _text_head(num_bytes: int) -> bytes:
    """What stands before a whole text message of a server. Source: RFC 6455 §5.2."""
    if num_bytes < 126:
        return bytes((_WHOLE_TEXT, num_bytes))
    if num_bytes < 65_536:
        return bytes((_WHOLE_TEXT, 126, num_bytes >> 8, num_bytes & 0xFF))
    return bytes((_WHOLE_TEXT, 127)) + num_bytes.to_bytes(8, "big")


def _ignore(_data: str | bytes) -> None:
    """The session is over; what still arrives has no meaning."""
