"""The process in which the links run."""

from __future__ import annotations

import asyncio

import pytest

from regions.lab.conditions import Conditions
from regions.lab.relays import RelayFailed, running_relays

pytestmark = pytest.mark.integration


async def test_links_of_the_process_carry_and_what_it_refuses_is_told() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with running_relays() as relays:
        port = await relays.open("link/client/west/1", "127.0.10.2", Conditions(delay_ms=1))
        await relays.aim("link/client/west/1", "127.0.0.1", server.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.10.2", port)
        writer.write(b"hi")
        assert await asyncio.wait_for(reader.readexactly(2), 60) == b"hi"
        writer.close()
        assert relays.names == ["link/client/west/1"]
        assert (await relays.figures())["link/client/west/1"]["p99_ms"] >= 0
        with pytest.raises(RelayFailed):
            await relays.darken("link/client/east/1")
    server.close()
