"""One connection of a caller to a gateway, and how it may fail; over WebSocket here."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONNECT_S = 2.0
_CLOSE_S = 0.2


class Unreachable(Exception):
    """Nobody answered, or what answered is no gateway."""


class SentOn(Exception):
    """The gateway may not serve the caller; one at `url` may."""

    def __init__(self, url: str) -> None:
        super().__init__("sent to another gateway")
        self.url = url


class Refused(Exception):
    """By an HTTP status. `reason` may be empty; `retry_after_ms` None: it gave no advice."""

    def __init__(self, status: int, reason: str = "", retry_after_ms: int | None = None) -> None:
        super().__init__(reason or f"http_{status}")
        self.status = status
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class Connection(Protocol):
    """A session's messages. Sending raises OSError where the connection is gone."""

    async def say(self, text: str) -> None:
        """A message of the protocol, as JSON."""

    async def send_audio(self, pcm16: bytes) -> None: ...

    async def hear(self) -> str | None:
        """The next message, as JSON. None: there are no more."""

    async def close(self) -> None:
        """Within a moment, whatever the other side does."""


class WebSocketConnection:
    """Made by `open_websocket`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def say(self, text: str) -> None:
        await self._socket.send_str(text)

    async def send_audio(self, pcm16: bytes) -> None:
        await self._socket.send_bytes(pcm16)

    async def hear(self) -> str | None:
        message = await self._socket.receive()
        return str(message.data) if message.type is aiohttp.WSMsgType.TEXT else None

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close()


async def open_websocket(http: aiohttp.ClientSession, url: str, token: str) -> WebSocketConnection:
    """Raises Refused, SentOn and Unreachable."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            socket = await http.ws_connect(
                url, headers={"Authorization": f"Bearer {token}"}, compress=0, max_msg_size=0
            )
    except aiohttp.WSServerHandshakeError as error:
        raise _refusal(error) from None
    except aiohttp.NonHttpUrlRedirectClientError as redirect:
        raise SentOn(str(redirect.args[0])) from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable(f"unreachable: {type(error).__name__}") from None
    return WebSocketConnection(socket)


def _refusal(error: aiohttp.WSServerHandshakeError) -> Refused:
    headers: Mapping[str, str] = error.headers or {}
    retry_after = headers.get("Retry-After", "")
    return Refused(
        error.status,
        headers.get("Patchbay-Reason", ""),
        round(1_000 * float(retry_after)) if retry_after else None,
    )
