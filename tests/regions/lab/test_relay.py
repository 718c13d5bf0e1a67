"""A link of the lab between real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from regions.lab.conditions import Conditions
from regions.lab.relay import RelayedLink
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
WAIT_S = 60.0


class Echo:
    """Sends back what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
        self.ended += 1
        writer.close()


@contextlib.asynccontextmanager
async def linked(conditions: Conditions) -> AsyncIterator[tuple[RelayedLink, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, HOST, 0)
    link = RelayedLink(HOST, conditions, seed=1)
    await link.start()
    link.aim(HOST, server.sockets[0].getsockname()[1])
    try:
        yield link, echo
    finally:
        await link.stop()
        server.close()


async def test_everything_arrives_in_its_order_however_the_link_jitters() -> None:
    sent = b"".join(number.to_bytes(2, "big") for number in range(500))
    async with linked(Conditions(jitter_ms=20, loss_permille=0)) as (link, echo):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        for at in range(0, len(sent), 20):
            writer.write(sent[at : at + 20])
            await writer.drain()
        assert await asyncio.wait_for(reader.readexactly(len(sent)), WAIT_S) == sent
        writer.close()
        await until(lambda: echo.ended == 1 and not link.open_connections, what="the end of the connection")


async def test_delay_is_paid_each_way() -> None:
    loop = asyncio.get_running_loop()
    async with linked(Conditions(delay_ms=40)) as (link, _):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"a")
        await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        began_s = loop.time()
        writer.write(b"b")
        await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        assert loop.time() - began_s >= 0.08
        assert link.lateness_s
        writer.close()


async def test_a_dark_link_takes_everything_and_tells_nobody_and_gives_it_late() -> None:
    async with linked(Conditions()) as (link, echo):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"before")
        await asyncio.wait_for(reader.readexactly(6), WAIT_S)
        link.darken()
        writer.write(b"during")
        _, silent = await asyncio.open_connection(HOST, link.port)  # taken, and leads nowhere
        silent.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.1)
        assert echo.heard == b"before"
        link.light()
        assert await asyncio.wait_for(reader.readexactly(6), WAIT_S) == b"during"
        await until(lambda: b"hello" in echo.heard, what="the caller that came meanwhile")
        for each in (writer, silent):
            each.close()


async def test_an_end_does_not_pass_a_dark_link() -> None:
    async with linked(Conditions()) as (link, echo):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"x")
        await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        link.darken()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
        assert echo.ended == 0
        link.light()
        await until(lambda: echo.ended == 1, what="the end")


async def test_a_reset_breaks_connections_and_lets_new_ones_through() -> None:
    async with linked(Conditions()) as (link, _):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"x")
        await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        link.reset()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        again, other = await asyncio.open_connection(HOST, link.port)
        other.write(b"y")
        assert await asyncio.wait_for(again.readexactly(1), WAIT_S) == b"y"
        other.close()
        writer.close()


async def test_a_target_that_is_not_there_breaks_the_connection() -> None:
    async with linked(Conditions()) as (link, _):
        link.aim(HOST, 1)
        reader, writer = await asyncio.open_connection(HOST, link.port)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.readexactly(1), WAIT_S)
        writer.close()
