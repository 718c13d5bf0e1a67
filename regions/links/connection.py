"""The connection of a link to its engine: HTTP/2 on one socket, without a thread and without a task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from regions.links.http2_call import CallBroken, Http2Call

if TYPE_CHECKING:
    from collections.abc import Callable

_AUTHORITY = "localhost"


class EngineConnection(asyncio.Protocol):
    """Carries messages both ways.

    Args:
        on_message: called with each message of the engine.
        on_room: called when `may_send` becomes true again.
        on_end: called once, when nothing more will come; whether what came was malformed.
    """

    def __init__(
        self,
        call: Http2Call,
        *,
        on_message: Callable[[bytes], None],
        on_room: Callable[[], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self._call = call
        self._on_message = on_message
        self._on_room = on_room
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._is_writable = True
        self._has_ended = False

    @property
    def may_send(self) -> bool:
        """Whether the engine takes more now. What is sent all the same waits in memory."""
        return self._is_writable and not self._call.has_unsent

    def send(self, message: bytes) -> None:
        """Send one message. Never waits."""
        self._call.send(message)
        self._flush()

    def close(self) -> None:
        """End the connection at once; `on_end` is not called for it."""
        self._has_ended = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._flush()

    def data_received(self, data: bytes) -> None:
        had_unsent = self._call.has_unsent
        try:
            messages = self._call.receive(data)
        except CallBroken:
            self._end(is_malformed=True)
            return
        self._flush()
        if had_unsent and self.may_send:
            self._on_room()
        for message in messages:
            if self._has_ended:
                return
            self._on_message(message)
        if self._call.is_over:
            self._end(is_malformed=False)

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        if self.may_send:
            self._on_room()

    def eof_received(self) -> None:
        """The transport closes by itself, and `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        self._end(is_malformed=False)

    def _flush(self) -> None:
        if self._transport is not None and (out := self._call.take_out()):
            self._transport.write(out)

    def _end(self, *, is_malformed: bool) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._on_end(is_malformed)


async def connect(
    address: str,
    path: str,
    *,
    max_message_bytes: int,
    on_message: Callable[[bytes], None],
    on_room: Callable[[], None],
    on_end: Callable[[bool], None],
) -> EngineConnection:
    """Dial `unix:/path` or `host:port` and begin the call.

    Raises:
        OSError: nobody listens there.
    """
    call = Http2Call(path, authority=_AUTHORITY, max_message_bytes=max_message_bytes)
    connection = EngineConnection(call, on_message=on_message, on_room=on_room, on_end=on_end)
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        await loop.create_unix_connection(lambda: connection, address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        await loop.create_connection(lambda: connection, host.strip("[]"), int(port))
    return connection
