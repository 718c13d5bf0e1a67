"""A session as its client sees it: messages in order, back-pressure both ways, datagrams, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.errors import CannotConnect, SessionOver
from gateway.webtransport.client.options import ClientOptions
from gateway.webtransport.client.session import End, SessionEnd
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.http3.drafts import wire_error
from gateway.webtransport.interface import Draft
from gateway.wire import stream_messages
from gateway.wire.stream_messages import AUDIO, TEXT
from tests.harness.waiting import until
from tests.harness.webtransport_server import ScriptedServer, ScriptedSession, running_server, silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def talking(
    folder: Path, *, draft: Draft = Draft.draft02, options: ClientOptions | None = None, **server_options: Any
) -> AsyncIterator[tuple[ScriptedServer, ClientSession]]:
    async with (
        running_server(folder, **server_options) as server,
        connect_webtransport(
            server.url,
            trust=CertificateHash.of(server.certificate_sha256),
            draft=draft,
            options=options or ClientOptions(),
        ) as session,
    ):
        yield server, session


def closing_with(code: int, reason: str, *payloads: bytes) -> Any:
    def on_message(scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
        for payload in payloads:
            scripted.session.send(TEXT, payload)
        scripted.session.close(code, reason)

    return on_message


@pytest.mark.parametrize("draft", Draft)
async def test_all_that_was_said_before_the_end_is_heard_then_code_and_reason(tmp_path: Path, draft: Draft) -> None:
    payloads = [bytes([number]) * 60_000 for number in range(8)]
    said = closing_with(4_294_967_295, "why — so", *payloads)
    async with talking(tmp_path, draft=draft, on_message=said) as (_, session):
        await session.send(TEXT, b"go")
        heard = []
        async for kind, payload in session.messages():
            await asyncio.sleep(0)
            heard.append((kind, payload))
        assert heard == [(TEXT, payload) for payload in payloads]
        assert session.ended == SessionEnd(End.closed, 4_294_967_295, "why — so")
        assert (session.close_code, session.close_reason) == (4_294_967_295, "why — so")
        with pytest.raises(SessionOver):
            await session.send(TEXT, b"more")
        assert not session.send_datagram(b"more")


async def test_what_the_client_says_last_is_heard_before_its_code(tmp_path: Path) -> None:
    async with talking(tmp_path, on_message=silent) as (server, session):
        for number in range(20):
            await session.send(AUDIO, bytes([number]) * 20_000)
        session.close(7, "done")
        with pytest.raises(SessionOver):
            await session.send(TEXT, b"more")
    await until(lambda: server.last.closed_with is not None)
    assert server.last.closed_with == (7, "done")
    assert [payload[0] for _, payload in server.last.messages] == list(range(20))
    assert session.ended == SessionEnd(End.closed_here, 7, "done")


async def test_leaving_the_block_closes_the_session(tmp_path: Path) -> None:
    async with talking(tmp_path) as (server, session):
        assert session.ended is None
    assert server.last.closed_with == (0, "")


async def test_the_end_of_the_client_s_stream_is_not_the_end_of_the_session(tmp_path: Path) -> None:
    async with talking(tmp_path, on_message=silent) as (server, session):
        await session.send(TEXT, b"all")
        session.finish_sending()
        await until(lambda: server.last.has_finished_sending)
        server.last.session.send(TEXT, b"heard")
        server.last.session.close(1000, "finished")
        assert [message async for message in session.messages()] == [(TEXT, b"heard")]
        assert session.close_code == 1000


@pytest.mark.parametrize("draft", Draft)
async def test_a_server_that_does_not_read_holds_the_client_back(tmp_path: Path, draft: Draft) -> None:
    options = ClientOptions(max_unsent_bytes=65_536)
    pausing = lambda scripted: scripted.session.pause()  # noqa: E731
    async with talking(tmp_path, draft=draft, options=options, on_message=silent, on_enter=pausing) as (
        server,
        session,
    ):
        sent = 0

        async def send_all() -> None:
            nonlocal sent
            for number in range(40):
                await session.send(AUDIO, bytes([number]) * 25_000)
                sent += 1

        sending = asyncio.create_task(send_all())
        await asyncio.wait([sending], timeout=0.3)
        assert not sending.done()
        assert 2 <= sent < 20
        server.last.session.resume()
        await sending
        await until(lambda: len(server.last.messages) == 40)
        assert [payload[0] for _, payload in server.last.messages] == list(range(40))


async def test_a_client_that_does_not_read_holds_the_server_back(tmp_path: Path) -> None:
    def pouring(scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
        for number in range(60):
            scripted.session.send(TEXT, bytes([number]) * 50_000)

    options = ClientOptions(max_unread_bytes=100_000)
    async with talking(tmp_path, options=options, on_message=pouring) as (server, session):
        await session.send(TEXT, b"go")
        await until(lambda: len(session.quic.held) == 1, what="the stream to be held")
        await asyncio.sleep(0.2)
        assert server.last.session.unsent_bytes > 2_000_000
        heard = 0
        async for _, payload in session.messages():
            assert payload == bytes([heard]) * 50_000
            heard += 1
            if heard == 60:
                break
        assert not session.quic.held


async def test_datagrams_arrive_up_to_the_size_that_is_told(tmp_path: Path) -> None:
    async with talking(tmp_path, options=ClientOptions(max_unsent_datagrams=4)) as (server, session):
        largest = session.max_datagram_bytes
        assert largest > 1_180
        assert session.send_datagram(bytes(largest))
        assert not session.send_datagram(bytes(largest + 1))
        for number in range(30):
            await session.datagram_room()
            assert session.send_datagram(bytes([number]))
        await until(lambda: len(server.last.datagrams) == 31)
        assert server.last.datagrams[0] == bytes(largest)
        assert sorted(server.last.datagrams[1:]) == [bytes([number]) for number in range(30)]
        for _ in range(4):
            session.send_datagram(b"x")
        assert not session.send_datagram(b"one more than may wait")


async def test_a_session_goes_on_from_another_port(tmp_path: Path) -> None:
    async with talking(tmp_path) as (server, session):
        messages = session.messages()
        ports = set()
        for has_new_id in (False, True, True):
            ports.add(session.local_address[1])
            session.rebind(has_new_id=has_new_id)
            await session.send(TEXT, b"still here")
            assert await anext(messages) == (TEXT, b"still here")
        assert len(ports | {session.local_address[1]}) == 4
        assert len(server.sessions) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (stream_messages.encode(9, b""), "a kind that is not known"),
        (bytes([TEXT]) + (5_000_000).to_bytes(3, "big"), "larger than is allowed"),
    ],
    ids=["unknown kind", "too large"],
)
async def test_a_server_that_breaks_the_protocol_is_left(tmp_path: Path, data: bytes, why: str) -> None:
    def breaking(scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
        scripted.session._write(data)  # type: ignore[attr-defined]

    async with talking(tmp_path, on_message=breaking) as (_, session):
        await session.send(TEXT, b"go")
        assert [message async for message in session.messages()] == []
        assert session.ended is not None
        assert session.ended.how is End.broken
        assert why in session.ended.reason


async def pour(session: ClientSession) -> None:
    """For ever."""
    while True:
        await session.send(AUDIO, bytes(50_000))


async def test_a_server_that_stops_reading_the_stream_is_left_and_nobody_waits_for_it(tmp_path: Path) -> None:
    def stopping(scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
        session: Any = scripted.session
        session._http3.abort_reading(session.message_stream_id, wire_error(5))

    async with talking(tmp_path, on_message=stopping) as (_, session):
        await session.send(TEXT, b"go")
        with pytest.raises(SessionOver):
            await pour(session)
        await session.delivered()
        assert session.ended == SessionEnd(End.broken, reason="the server does not read the session's stream")


async def test_bytes_of_no_message_are_refused_by_the_server_with_a_reason(tmp_path: Path) -> None:
    async with talking(tmp_path) as (server, session):
        await session.send_bytes(b"\xff\x00\x00\x00")
        assert [message async for message in session.messages()] == []
        assert session.close_code == 1
        assert server.last.broken_because == session.close_reason


async def test_a_session_that_is_closed_at_once_says_so(tmp_path: Path) -> None:
    def closing(scripted: ScriptedSession) -> None:
        scripted.session.send(TEXT, b"no")
        scripted.session.close(4403, "not_permitted")

    with contextlib.suppress(CannotConnect):
        async with talking(tmp_path, on_enter=closing) as (_, session):
            assert [message async for message in session.messages()] == [(TEXT, b"no")]
            assert session.ended == SessionEnd(End.closed, 4403, "not_permitted")
            return
    raise AssertionError("the session did not begin")
