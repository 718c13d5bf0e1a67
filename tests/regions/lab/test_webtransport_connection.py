"""A caller's connection over WebTransport, against the edge's own server with sessions that a test scripts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from aioquic.buffer import encode_uint_var

from regions.lab.connection import Refused, Unreachable
from regions.lab.webtransport_connection import (
    MessageCutter,
    SessionEnd,
    WebTransportConnection,
    close_in,
    framed,
    open_webtransport,
)
from tests.harness.waiting import until
from tests.harness.webtransport_server import ScriptedServer, ScriptedSession, running_server, silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

PCM = bytes(range(200)) * 16
"""100 ms."""
CLOSE = 0x2843


@contextlib.asynccontextmanager
async def connected(server: ScriptedServer, *, has_datagrams: bool = False) -> AsyncIterator[WebTransportConnection]:
    connection = await open_webtransport(
        server.url, "token", hashes={server.certificate_sha256}, has_datagrams=has_datagrams
    )
    try:
        yield connection
    finally:
        await connection.close()


def refuse(scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
    """As a gateway does: an error, the end of its half of the stream, then the close."""
    scripted.session.send(1, b'{"type":"error"}')
    scripted.session.close(4421, "wrong_region")


async def test_messages_go_both_ways_and_the_token_with_the_request(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connected(server) as connection:
        await connection.say('{"type":"start"}')
        async with asyncio.timeout(60):
            assert await connection.hear() == '{"type":"start"}'
        await connection.send_audio(PCM)
        await until(lambda: len(server.last.messages) == 2, what="the audio")
        assert server.last.messages[1] == (2, PCM)
        assert dict(server.requests[0].headers)["authorization"] == "Bearer token"


async def test_what_the_gateway_said_last_comes_before_its_end_and_its_code(tmp_path: Path) -> None:
    async with running_server(tmp_path, on_message=refuse) as server, connected(server) as connection:
        await connection.say('{"type":"start"}')
        async with asyncio.timeout(60):
            assert await connection.hear() == '{"type":"error"}'
            assert await connection.hear() is None
        assert connection.end == SessionEnd(4421, "wrong_region")
        with pytest.raises(OSError, match="over"):
            await connection.send_audio(PCM)


async def test_audio_goes_in_datagrams_with_their_places_and_a_mark_before_the_end(tmp_path: Path) -> None:
    async with running_server(tmp_path, on_message=silent) as server, connected(server, has_datagrams=True) as caller:
        await caller.say('{"type":"start"}')
        await caller.send_audio(PCM)
        await caller.say('{"type":"finish"}')
        await until(lambda: len(server.last.messages) == 3 and len(server.last.datagrams) == 5, what="all of it")
        heard = [struct.unpack_from(">IQ", datagram) for datagram in server.last.datagrams]
        assert heard == [(number, 320 * number) for number in range(5)]
        assert b"".join(datagram[12:] for datagram in server.last.datagrams) == PCM
        assert [kind for kind, _ in server.last.messages] == [1, 3, 1]
        assert server.last.messages[1] == (3, struct.pack(">IQ", 5, len(PCM) // 2))


async def test_a_session_that_may_not_be_and_a_stranger_are_told_apart(tmp_path: Path) -> None:
    async with running_server(tmp_path, status=503) as server:
        with pytest.raises(Refused) as refused:
            await open_webtransport(server.url, "token", hashes={server.certificate_sha256})
        assert refused.value.status == 503
        with pytest.raises(Unreachable, match="another certificate"):
            await open_webtransport(server.url, "token", hashes={"0" * 64})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{black_hole.getsockname()[1]}/v1/stream"
        with pytest.raises(Unreachable, match="no answer"):
            await open_webtransport(url, "token", hashes=(), patience_s=0.5)


async def test_an_edge_that_has_forgotten_the_connection_ends_it(tmp_path: Path) -> None:
    async with running_server(tmp_path, on_message=silent) as server, connected(server) as connection:
        await connection.say('{"type":"start"}')
        await until(lambda: bool(server.sessions and server.last.messages), what="the start")
        server.forgets(bytes(range(32)))
        hearing = asyncio.create_task(connection.hear())
        async with asyncio.timeout(60):
            while not hearing.done():
                with contextlib.suppress(OSError):
                    await connection.send_audio(PCM)
                await asyncio.sleep(0.05)
        assert await hearing is None
        assert connection.end is None


def test_messages_are_cut_wherever_the_stream_is() -> None:
    stream = framed(1, b"one") + framed(2, b"") + framed(1, b"three")
    cutter = MessageCutter()
    found = [message for at in range(len(stream)) for message in cutter.feed(stream[at : at + 1])]
    assert found == [(1, b"one"), (2, b""), (1, b"three")]


def test_the_capsule_that_closes_is_found_among_others_once_it_is_whole() -> None:
    close = encode_uint_var(CLOSE) + encode_uint_var(8) + (4431).to_bytes(4, "big") + b"full"
    capsules = encode_uint_var(7) + encode_uint_var(1) + b"x" + close
    assert close_in(capsules) == SessionEnd(4431, "full")
    assert [close_in(capsules[:at]) for at in range(len(capsules))] == [None] * len(capsules)
