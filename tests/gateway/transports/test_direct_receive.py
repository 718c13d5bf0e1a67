"""The part of aiohttp that is replaced: fails here when its inside changes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import ClientConnectionResetError, WSMsgType, web

from gateway.transports.direct_receive import DirectWebSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0


@contextlib.asynccontextmanager
async def serving(handle: Callable[[DirectWebSocket], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    async def on_request(request: web.Request) -> web.StreamResponse:
        socket = DirectWebSocket(compress=False, timeout=0.2, **options)
        await socket.prepare(request)
        await handle(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", on_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with asyncio.timeout(DEADLINE_S):
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        await runner.cleanup()


async def test_text_and_binary_come_in_order_and_in_the_turn_they_arrive() -> None:
    got: list[str | bytes] = []
    done = asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        first = await socket.receive()
        got.append(first.data)
        while socket.has_buffered:
            got.append((await socket.receive()).data)
        socket.divert(got.append, lambda _error: None)
        while (await socket.receive()).type is not WSMsgType.CLOSE:
            pass
        done.set()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        for number in range(500):
            if number % 3:
                await client.send_bytes(str(number).encode())
            else:
                await client.send_str(str(number))
        await client.close()
        await done.wait()
    assert [int(item) for item in got] == list(range(500))


async def test_nothing_may_wait_when_messages_are_diverted() -> None:
    failed = asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        await socket.receive()
        while not socket.has_buffered:
            await asyncio.sleep(0.001)
        with pytest.raises(RuntimeError, match="wait"):
            socket.divert(lambda _data: None, lambda _error: None)
        failed.set()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        await client.send_str("a")
        await client.send_str("b")
        await failed.wait()


async def test_pings_are_answered_while_messages_are_diverted() -> None:
    async def handle(socket: DirectWebSocket) -> None:
        socket.divert(lambda _data: None, lambda _error: None)
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url, autoping=False) as client:
        await client.ping(b"there?")
        answer = await client.receive()
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"there?")


async def test_a_paused_connection_holds_its_client_back() -> None:
    taken = 0
    paused, resume, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        def take(data: str | bytes) -> None:
            nonlocal taken
            taken += len(data)
            if not paused.is_set():
                socket.pause_reading()
                paused.set()

        socket.divert(take, lambda _error: None)
        reading = asyncio.create_task(socket.receive())
        await resume.wait()
        socket.resume_reading()
        await finished.wait()
        reading.cancel()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        total = 64 * 1_048_576

        async def send_all() -> None:
            for _ in range(total // 262_144):
                await client.send_bytes(bytes(262_144))

        sending = asyncio.create_task(send_all())
        await paused.wait()
        await asyncio.sleep(0.2)
        assert not sending.done()
        assert taken < total // 2
        resume.set()
        await sending
        while taken < total:
            await asyncio.sleep(0.005)
        finished.set()


async def test_texts_of_every_size_arrive_whole_and_in_order() -> None:
    texts = [b"x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)]

    async def handle(socket: DirectWebSocket) -> None:
        await socket.send_texts(texts)
        await socket.send_texts([b"last"])
        await socket.receive()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        assert [(await client.receive_str()).encode() for _ in range(len(texts) + 1)] == [*texts, b"last"]


async def test_texts_wait_for_a_peer_that_does_not_read() -> None:
    has_waited, sent = asyncio.Event(), asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        async def send_all() -> None:
            for _ in range(200):
                await socket.send_texts([b"x" * 1_000_000])
            sent.set()

        sending = asyncio.create_task(send_all())
        await asyncio.sleep(0.2)
        assert not sending.done()
        has_waited.set()
        await sending

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as client:
        await has_waited.wait()
        for _ in range(200):
            assert len(await client.receive_str()) == 1_000_000
        await sent.wait()


async def test_nothing_can_be_sent_over_a_connection_that_closes() -> None:
    refused = asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        await socket.close()
        with pytest.raises(ClientConnectionResetError):
            await socket.send_texts([b"late"])
        refused.set()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        assert (await client.receive()).type is WSMsgType.CLOSE
        await refused.wait()


@pytest.mark.parametrize("is_diverted", [False, True])
async def test_a_broken_frame_is_reported_and_the_client_can_still_be_told_why(is_diverted: bool) -> None:
    errors: list[Any] = []

    async def handle(socket: DirectWebSocket) -> None:
        if is_diverted:
            broken = asyncio.Event()
            socket.divert(lambda _data: None, lambda error: (errors.append(error), broken.set())[0])
            reading = asyncio.create_task(socket.receive())
            await broken.wait()
            reading.cancel()
        else:
            message = await socket.receive()
            assert message.type is WSMsgType.ERROR
            errors.append(message.data)
        await socket.send_str("why")
        await socket.close(code=4400)

    serve = serving(handle, max_msg_size=1_000)
    async with serve as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        await client.send_bytes(bytes(2_000))
        assert (await client.receive()).data == "why"
        assert (await client.receive()).data == 4400
    assert errors[0].code == 1009


async def test_after_restore_a_close_waits_for_the_clients_answer_and_hears_no_data() -> None:
    closed = asyncio.Event()

    async def handle(socket: DirectWebSocket) -> None:
        socket.divert(lambda _data: None, lambda _error: None)
        await socket.restore()
        await socket.close(code=4001)
        closed.set()

    async with serving(handle) as url, aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        await client.send_bytes(b"late")
        message = await client.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4001)
        await closed.wait()
