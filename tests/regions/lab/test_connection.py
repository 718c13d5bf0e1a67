"""A caller's connection over WebSocket: what comes of it, and how it fails."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from regions.lab.connection import Refused, SentOn, Unreachable, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/stream", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/stream"
    await runner.cleanup()


async def test_messages_go_both_ways_until_the_gateway_closes() -> None:
    heard: list[object] = []

    async def gateway(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard.append(request.headers["Authorization"])
        heard.extend([(await socket.receive()).data, (await socket.receive()).data])
        await socket.send_str("said")
        await socket.close()
        return socket

    async with serving(gateway) as url, aiohttp.ClientSession() as http:
        connection = await open_websocket(http, url, "token")
        await connection.say("start")
        await connection.send_audio(b"audio")
        assert [await connection.hear(), await connection.hear()] == ["said", None]
        await connection.close()
    assert heard == ["Bearer token", "start", b"audio"]


async def test_refusals_redirects_and_silence_are_told_apart() -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Patchbay-Reason": "start_rate_limit", "Retry-After": "2"})

    async def elsewhere(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "ws://127.0.0.1:1/v1/stream"})

    async with aiohttp.ClientSession() as http:
        async with serving(busy) as url:
            with pytest.raises(Refused) as refused:
                await open_websocket(http, url, "token")
            told = refused.value
            assert (told.status, told.reason, told.retry_after_ms) == (429, "start_rate_limit", 2_000)
        async with serving(elsewhere) as url:
            with pytest.raises(SentOn) as sent_on:
                await open_websocket(http, url, "token")
            assert sent_on.value.url == "ws://127.0.0.1:1/v1/stream"
        with pytest.raises(Unreachable):
            await open_websocket(http, "ws://127.0.0.1:1/v1/stream", "token")
