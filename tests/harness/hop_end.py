"""The gateway's end of a hop, as a test wants it: a WebSocket server on a UNIX socket that notes what it hears."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from gateway.transports.hop_listener import hop_listening, hop_path
from gateway.webtransport.hop import Hop
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class HopEnd:
    """`sockets`: one for each session, in their order. While not `is_reading`, nothing is read of them."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.heard: list[tuple[WSMsgType, str | bytes | None]] = []
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.status = 101
        self.listening = contextlib.AsyncExitStack()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.status != 101:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse(protocols=("patchbay.v1",), autoclose=True, max_msg_size=0)
        await socket.prepare(request)
        self.sockets.append(socket)
        while True:
            await self.is_reading.wait()
            message = await socket.receive()
            self.heard.append((message.type, message.data))
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                return socket

    async def socket(self) -> web.WebSocketResponse:
        """Of the session that came last."""
        await until(lambda: bool(self.sockets), what="a session at the gateway")
        return self.sockets[-1]

    @property
    def data(self) -> list[str | bytes | None]:
        return [data for kind, data in self.heard if kind in (WSMsgType.TEXT, WSMsgType.BINARY)]

    @property
    def is_left(self) -> bool:
        return bool(self.heard) and self.heard[-1][0] not in (WSMsgType.TEXT, WSMsgType.BINARY)


@contextlib.asynccontextmanager
async def hop_and_its_end(app: web.Application | None = None) -> AsyncIterator[tuple[Hop, HopEnd]]:
    """`app`: what stands beside `/v1/stream`."""
    end = HopEnd()
    app = app or web.Application()
    app.router.add_get("/v1/stream", end.handle)
    with hop_path() as path:
        await end.listening.enter_async_context(hop_listening(app, path))
        async with end.listening, _hop(path) as hop:
            yield hop, end


@contextlib.asynccontextmanager
async def _hop(path: Path) -> AsyncIterator[Hop]:
    hop = Hop(path)
    try:
        yield hop
    finally:
        await hop.close()
