"""Connections that bring no request, or half of one, are ended; those at work are not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from gateway.transports.request_deadline import RequestDeadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

DEADLINE_MS = 800


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with a quick page and a WebSocket that says `still there` after twice the deadline."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def socket(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await asyncio.sleep(2 * DEADLINE_MS / 1_000)
        await websocket.send_str("still there")
        await websocket.close()
        return websocket

    app = web.Application()
    app.router.add_get("/page", page)
    app.router.add_get("/socket", socket)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert runner.server is not None
    deadline = RequestDeadline(runner.server, DEADLINE_MS)
    deadline.start()
    async with asyncio.timeout(60):
        yield int(runner.addresses[0][1])
    deadline.stop()
    await runner.cleanup()


@pytest.mark.parametrize("sent", [b"", b"GET /page HT", b"GET /page HTTP/1.1\r\nHost: here\r\nX: "])
async def test_a_connection_without_a_whole_request_is_ended(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    began_s = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    assert asyncio.get_running_loop().time() - began_s >= DEADLINE_MS / 1_000
    writer.close()


async def test_a_connection_that_is_kept_alive_has_the_time_again_after_each_request(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):
        writer.write(b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"ok")
        await asyncio.sleep(DEADLINE_MS / 2_000)
    writer.close()


async def test_a_session_outlasts_the_deadline(port: int) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{port}/socket") as socket:
        assert await socket.receive_str() == "still there"
