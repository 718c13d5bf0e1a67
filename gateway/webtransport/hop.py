"""From an edge process to its gateway: one WebSocket for each session, and plain requests, over a Unix socket."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from gateway.transports.hop_listener import PEER_HEADER
from gateway.webtransport.interface import PageAnswer
from gateway.wire.stream_messages import MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.webtransport.interface import ConnectRequest

_OPEN_TIMEOUT_S = 30.0
"""The gateway may have to fetch keys, or to ask its limiter."""
_CLOSE_TIMEOUT_S = 2.0
_PAGE_TIMEOUT_S = 10.0
_MAX_PAGE_BYTES = 2 * 1_048_576
_NOT_PASSED_ON = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key"),
        *("sec-websocket-protocol", "sec-websocket-version", "wt-available-protocols", PEER_HEADER.lower()),
    }
)
"""Of one connection alone, or ours to say."""
_NOT_ANSWERED_WITH = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 §5.6.2: what may stand in `Sec-WebSocket-Protocol`."""


class HopRefused(Exception):
    """The gateway answered with another status than 101, or the request cannot be written down as HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class HopLost(Exception):
    """The gateway is not there."""


class Hop:
    """`path`: of the gateway's socket (gateway.transports.hop_listener). Made and closed on the loop that uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._http = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(path), limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._http.close()

    async def connect(self, request: ConnectRequest) -> aiohttp.ClientWebSocketResponse[bool]:
        """The session's WebSocket, whose text comes as bytes.

        Raises:
            HopRefused: by something below the protocol; what the protocol refuses is told over the WebSocket.
            HopLost: nobody listens, or not in time.
        """
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                return await self._http.ws_connect(
                    _url(request),
                    protocols=[offer for offer in request.protocols if _TOKEN.fullmatch(offer)],
                    headers=[*_passed_on(request), (PEER_HEADER, request.address)],
                    compress=0,
                    max_msg_size=MAX_PAYLOAD_BYTES,
                    decode_text=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise HopRefused(error.status) from None
        except (aiohttp.ClientError, OSError) as error:  # which a time-out is too
            raise HopLost from error
        except ValueError:
            raise HopRefused(400) from None

    async def page(self, request: ConnectRequest) -> PageAnswer:
        """What the gateway's public pages answer. Never raises."""
        try:
            async with (
                asyncio.timeout(_PAGE_TIMEOUT_S),
                self._http.request(
                    request.method,
                    _url(request),
                    headers=[*_passed_on(request), (PEER_HEADER, request.address)],
                    allow_redirects=False,
                ) as response,
            ):
                body = await response.content.read(_MAX_PAGE_BYTES + 1)
                while not response.content.at_eof() and len(body) <= _MAX_PAGE_BYTES:
                    body += await response.content.read(_MAX_PAGE_BYTES + 1 - len(body))
                if len(body) > _MAX_PAGE_BYTES:
                    return _bare(502)
                return PageAnswer(response.status, tuple(_answered_with(response.headers.items())), body)
        except (aiohttp.ClientError, OSError):
            return _bare(503)
        except ValueError:
            return _bare(400)


def _bare(status: int) -> PageAnswer:
    return PageAnswer(status, (), b"")


def _url(request: ConnectRequest) -> URL:
    """Raises ValueError."""
    return URL(f"http://gateway{request.path}", encoded=True)


def _passed_on(request: ConnectRequest) -> list[tuple[str, str]]:
    return [
        ("Host", request.authority),
        *((name, value) for name, value in request.headers if name.lower() not in _NOT_PASSED_ON),
    ]


def _answered_with(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((name.lower(), value) for name, value in headers if name.lower() not in _NOT_ANSWERED_WITH)
