"""A TCP relay that can swallow what goes one way or the other: connections stay open and nothing arrives.

What was swallowed arrives when the way is open again, late, as it does where a network comes back and TCP sends again.
"""

from __future__ import annotations

import asyncio
from typing import Self

_CHUNK_BYTES = 64 * 1024


class TcpRelay:
    """From a port of its own (`port`) to one of 127.0.0.1. Use as an async context."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._there = asyncio.Event()
        self._back = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self._callers: set[asyncio.StreamWriter] = set()
        self.open()

    def open(self) -> None:
        self._there.set()
        self._back.set()

    def swallow(self, *, there: bool = True, back: bool = True) -> None:
        """`there`: what callers send, connections too; `back`: what they would hear."""
        if there:
            self._there.clear()
        if back:
            self._back.clear()

    def cut(self) -> None:
        """End all connections; new ones may come."""
        for writer in self._callers:
            writer.transport.abort()

    def refuse(self) -> None:
        """End all connections, and take none any more."""
        if self._server is not None:
            self._server.close()
        self.cut()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._ways.add(task)
            task.add_done_callback(self._ways.discard)
        self._callers.add(writer)
        try:
            await self._there.wait()
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            try:
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_carry(reader, to_writer, self._there))
                    ways.create_task(_carry(to_reader, writer, self._back))
            except* OSError:
                pass
            finally:
                to_writer.close()
        except OSError:
            pass
        finally:
            self._callers.discard(writer)
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_open: asyncio.Event) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await is_open.wait()
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
