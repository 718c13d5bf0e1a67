"""A connection that makes a gRPC call by itself, against real engines' servers and against strangers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from grpc_health.v1 import health_pb2

from regions.links.connection import EngineConnection, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

WATCH_HEALTH = "/grpc.health.v1.Health/Watch"


class Heard:
    """What a connection called back."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ends: list[bool] = []
        self.rooms = 0

    def room(self) -> None:
        self.rooms += 1

    async def dial(self, address: str, path: str = WATCH_HEALTH) -> EngineConnection:
        return await connect(
            address,
            path,
            max_message_bytes=1_000_000,
            on_message=self.messages.append,
            on_room=self.room,
            on_end=self.ends.append,
        )


@contextlib.asynccontextmanager
async def served(port: int, talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[None]:
    """A server for one connection: talks to it, then reads until it is closed."""
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()
        is_over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield
        await is_over.wait()


async def test_a_grpc_server_takes_the_call_and_its_messages_arrive(engines: Any, tools: Any) -> None:
    await engines.start()
    heard = Heard()
    connection = await heard.dial(engines.address())
    connection.send(health_pb2.HealthCheckRequest().SerializeToString())
    await tools.until(lambda: bool(heard.messages))
    reply = health_pb2.HealthCheckResponse.FromString(heard.messages[0])
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    await engines.kill()
    await tools.until(lambda: bool(heard.ends))
    assert heard.ends == [False]


async def test_a_method_that_the_server_does_not_have_ends_the_call(engines: Any, tools: Any) -> None:
    await engines.start()
    heard = Heard()
    connection = await heard.dial(engines.address(), "/no.Such/Method")
    await tools.until(lambda: bool(heard.ends))
    assert (heard.ends, heard.messages) == ([False], [])
    connection.close()


async def test_nobody_at_the_address_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - any kind of it
        await Heard().dial(f"unix:{tmp_path}/nobody")


async def test_a_server_that_speaks_something_else_is_told_apart(free_port: int, tools: Any) -> None:
    async def greet(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n" * 10)

    async with served(free_port, greet):
        heard = Heard()
        connection = await heard.dial(f"127.0.0.1:{free_port}")
        await tools.until(lambda: bool(heard.ends))
        assert heard.ends == [True]
        connection.close()


async def test_nothing_is_called_back_after_close(engines: Any) -> None:
    await engines.start()
    heard = Heard()
    connection = await heard.dial(engines.address())
    connection.close()
    await asyncio.sleep(0)
    assert (heard.ends, heard.messages) == ([], [])


async def test_a_server_that_does_not_read_has_no_room_until_it_reads(free_port: int, tools: Any) -> None:
    may_read = asyncio.Event()

    async def read_late(writer: asyncio.StreamWriter) -> None:
        await may_read.wait()
        window = (1 << 30).to_bytes(4, "big")
        for stream in (0, 1):
            writer.write(b"\x00\x00\x04\x08\x00" + stream.to_bytes(4, "big") + window)

    async with served(free_port, read_late):
        heard = Heard()
        connection = await heard.dial(f"127.0.0.1:{free_port}")
        assert connection.may_send
        connection.send(bytes(100_000))
        assert not connection.may_send
        may_read.set()
        await tools.until(lambda: heard.rooms > 0)
        assert connection.may_send
        connection.close()
