"""A name that leads somewhere else after a failover, and a way that takes long: a relay between a client and a port."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE_BYTES = 65_536


class MovingRelay:
    """Listens on a port of 127.0.0.1. `delay_s`: how long what the server answers is kept back; it keeps its order."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self.to_port = to_port
        self.delay_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lead_to(self, port: int) -> None:
        """New connections go there; those that exist break."""
        self.to_port = port
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, server_writer}
        there = asyncio.create_task(_pump(reader, server_writer))
        back = asyncio.create_task(self._pump_back(server_reader, writer))
        self._tasks |= {there, back}
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        await asyncio.wait({there, back})
        self._tasks -= {there, back}
        for end in (writer, server_writer):
            end.close()
            self._writers.discard(end)

    async def _pump_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        kept: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(_send_when_due(kept, writer))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(_PIECE_BYTES):
                    kept.put_nowait((loop.time() + self.delay_s, data))
        finally:
            sending.cancel()

    async def close(self) -> None:
        self.lead_to(self.to_port)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()


async def _send_when_due(kept: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while True:
            due_at_s, data = await kept.get()
            await asyncio.sleep(max(0.0, due_at_s - loop.time()))
            writer.write(data)


@contextlib.asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[MovingRelay]:
    """A relay that listens while the block runs."""
    relay = MovingRelay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
