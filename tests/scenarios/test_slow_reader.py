"""A client that does not read its results: it is closed or held back, costs bounded memory, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import TYPE_CHECKING

import pytest

from gateway.cli.connection import TransportChoice, connect
from gateway.wire.messages import Finalize, Start
from tests.harness.caller import Caller, calling
from tests.harness.figures import quantile
from tests.harness.metrics import has_no_sessions, scrape
from tests.harness.raw_websocket import RawWebSocket, raw_websocket
from tests.harness.recordings import pcm_of, pieces_of
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.cli.connection import Connection
    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

CLOSING_TIMEOUT_MS = 1_500
MAX_GROWTH_BYTES = 40 * 1_048_576
SLOWEST_PARTIAL_S = 0.5
DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))[:120]


ENOUGH_QUESTIONS = 2_000
"""Their answers fill every buffer between the session and its client, and its queue."""


async def overwhelm(socket: RawWebSocket, questions: int | None = None) -> None:
    """Ask for answers, each 8 kB, for ever or so often, and read none; ends when the gateway ends the connection."""
    await socket.send_text('{"type":"start"}')
    question = json.dumps({"type": "finalize", "id": "x" * 8_000})
    with contextlib.suppress(ConnectionError):
        for _ in itertools.count() if questions is None else range(questions):
            await socket.send_text(question)


async def speak_beside(region: Region) -> Caller:
    """A session at the pace of speech."""
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        await caller.say_all(DIALOGUE, speed=2.0)
        await caller.finish()
        await caller.until_over()
    return caller


async def test_a_client_that_does_not_read_is_closed_as_too_slow_and_cut_off(new_region: Callable[..., Region]) -> None:
    region = new_region("--scripted", sessions__closing_timeout_ms=CLOSING_TIMEOUT_MS)
    async with raw_websocket(region, receive_buffer_bytes=4_096) as socket:
        async with asyncio.timeout(30):
            await overwhelm(socket)
        closed = (await scrape(region))("patchbay_sessions_closed_total", reason="client_too_slow")
        assert closed == 1
        await until_true(lambda: has_no_sessions(region), what="the end of the session")
    assert region.events("session.closed")[-1]["reason"] == "client_too_slow"


async def test_a_client_that_reads_late_still_hears_that_it_was_too_slow(new_region: Callable[..., Region]) -> None:
    region = new_region("--scripted", sessions__closing_timeout_ms=20_000)
    async with raw_websocket(region, receive_buffer_bytes=4_096) as socket:
        # What a gateway has not read when it closes makes its kernel reset the connection, and what is on its way is
        # lost: so the questions come to an end.
        speaking = asyncio.create_task(overwhelm(socket, ENOUGH_QUESTIONS))

        async def is_closed() -> bool:
            return (await scrape(region))("patchbay_sessions_closed_total", reason="client_too_slow") == 1

        await until_true(is_closed, what="the close")
        await speaking
        ending = await socket.read_to_the_end()
    last = ending.messages[-1]
    assert getattr(last, "reason", None) == "client_too_slow"
    assert ending.close_code == 4_429


async def test_a_grpc_client_that_does_not_read_is_closed_as_too_slow(new_region: Callable[..., Region]) -> None:
    region = new_region("--scripted", sessions__closing_timeout_ms=CLOSING_TIMEOUT_MS)

    async def overwhelm_call(connection: Connection) -> None:
        await connection.send(Start())
        while True:
            await connection.send(Finalize("x" * 8_000))

    async def is_closed() -> bool:
        return (await scrape(region))("patchbay_sessions_closed_total", reason="client_too_slow", transport="grpc") == 1

    async with connect(region.grpc, region.token(), protocol=TransportChoice.grpc) as connection:
        overwhelming = asyncio.create_task(overwhelm_call(connection))
        await until_true(is_closed, what="the close")
        await until_true(lambda: has_no_sessions(region), what="the end of the session")
        overwhelming.cancel()
        await asyncio.gather(overwhelming, return_exceptions=True)


async def test_many_slow_readers_cost_bounded_memory_and_nobody_else_waits(new_region: Callable[..., Region]) -> None:
    region = new_region(sessions__closing_timeout_ms=CLOSING_TIMEOUT_MS)
    alone = await speak_beside(region)
    before_bytes = region.gateway_rss_bytes()
    async with contextlib.AsyncExitStack() as sockets:
        slow = [await sockets.enter_async_context(raw_websocket(region, receive_buffer_bytes=4_096)) for _ in range(10)]
        overwhelming = [asyncio.create_task(overwhelm(socket)) for socket in slow]
        beside = await speak_beside(region)
        grown_bytes = region.gateway_rss_bytes() - before_bytes
        async with asyncio.timeout(30):
            await asyncio.gather(*overwhelming)
    delays_s = beside.partial_delays_s()
    print(
        f"grown by {grown_bytes / 1e6:.1f} MB; partials p50 {quantile(delays_s, 0.5):.3f} s max {max(delays_s):.3f} s"
    )
    assert beside.finals == alone.finals
    assert quantile(delays_s, 0.9) < SLOWEST_PARTIAL_S
    assert grown_bytes < MAX_GROWTH_BYTES
    await until_true(lambda: has_no_sessions(region), what="the end of all sessions")
