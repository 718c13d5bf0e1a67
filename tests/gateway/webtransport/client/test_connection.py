"""How a client hears that its connection is lost, and what it does about a network that falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.connection import Loss
from gateway.webtransport.client.options import ClientOptions
from gateway.webtransport.client.session import End, SessionEnd
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire.stream_messages import TEXT
from tests.harness.udp_relay import UdpRelay
from tests.harness.waiting import until
from tests.harness.webtransport_server import SECRET, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession
    from tests.harness.webtransport_server import ScriptedServer

pytestmark = pytest.mark.integration

IMPATIENT = ClientOptions(move_after_s=0.15, unanswered_s=0.6, close_timeout_s=0.2)
PATIENT = ClientOptions(close_timeout_s=0.2)


async def heard_of(session: ClientSession) -> SessionEnd:
    """Sends until the session is over."""
    while session.ended is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.wait_closed()
        if session.ended is None:
            await session.send(TEXT, b"{}")
    return session.ended


@contextlib.asynccontextmanager
async def through_a_relay(
    folder: Path, options: ClientOptions = IMPATIENT
) -> AsyncIterator[tuple[ScriptedServer, UdpRelay, ClientSession]]:
    async with (
        running_server(folder) as server,
        UdpRelay(server.port) as relay,
        connect_webtransport(
            f"https://127.0.0.1:{relay.port}/v1/stream",
            trust=CertificateHash.of(server.certificate_sha256),
            options=options,
        ) as session,
    ):
        yield server, relay, session


async def test_a_server_that_closes_the_connection_is_heard(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        async with connect_webtransport(server.url, trust=trust, options=PATIENT) as session:
            server.last.session._peer.close(0x10C, "gone")  # type: ignore[attr-defined]
            await session.wait_closed()
            assert session.ended == SessionEnd(End.lost, 0x10C, "gone", Loss.closed_by_server)


async def test_a_port_that_nobody_listens_on_any_more_is_known_at_once(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with running_server(tmp_path) as server:
            trust = CertificateHash.of(server.certificate_sha256)
            session = await stack.enter_async_context(connect_webtransport(server.url, trust=trust, options=PATIENT))
            server.dies()
        ended = await heard_of(session)
        assert ended == SessionEnd(End.lost, None, "", Loss.unreachable)


async def test_a_server_that_has_forgotten_the_connection_says_so_at_once(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        async with connect_webtransport(server.url, trust=trust, options=PATIENT) as session:
            server.forgets(SECRET)
            assert await heard_of(session) == SessionEnd(End.lost, None, "", Loss.reset)


async def test_a_reset_with_another_token_is_not_believed(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        async with connect_webtransport(server.url, trust=trust, options=IMPATIENT) as session:
            server.forgets(bytes(32))
            assert await heard_of(session) == SessionEnd(End.lost, None, "", Loss.unanswered)


async def test_a_silent_network_is_tried_from_another_port_then_given_up(tmp_path: Path) -> None:
    async with through_a_relay(tmp_path) as (_, relay, session):
        port = session.local_address[1]
        relay.swallow()
        began_s = time.monotonic()
        sending = asyncio.create_task(heard_of(session))
        await until(lambda: session.local_address[1] != port, what="another port")
        assert await sending == SessionEnd(End.lost, None, "", Loss.unanswered)
        assert time.monotonic() - began_s > 0.4


async def test_a_network_that_only_stumbled_loses_nothing(tmp_path: Path) -> None:
    async with through_a_relay(tmp_path, PATIENT) as (server, relay, session):
        relay.swallow()
        for number in range(6):
            await session.send(TEXT, bytes([number]))
            await asyncio.sleep(0.05)
        relay.open()
        heard = []
        async for _, payload in session.messages():
            heard.append(payload)
            if len(heard) == 6:
                break
        assert heard == [bytes([number]) for number in range(6)]
        assert len(server.sessions) == 1


async def test_an_idle_connection_is_kept_alive(tmp_path: Path) -> None:
    options = ClientOptions(keep_alive_s=0.2, idle_timeout_s=2.0)
    async with running_server(tmp_path) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        async with connect_webtransport(server.url, trust=trust, options=options) as session:
            await asyncio.sleep(2.5)
            assert session.ended is None


async def test_a_connection_that_nothing_keeps_alive_ends(tmp_path: Path) -> None:
    options = ClientOptions(keep_alive_s=None, idle_timeout_s=0.3, close_timeout_s=0.1)
    async with running_server(tmp_path) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        async with connect_webtransport(server.url, trust=trust, options=options) as session:
            await session.wait_closed()
            assert session.ended is not None
            assert session.ended.loss is Loss.unanswered


def test_the_quic_library_writes_nothing_between_the_words_of_a_command() -> None:
    """Where nobody has set up logging, Python writes warnings to standard error."""
    script = "import logging, gateway.webtransport.client.client; logging.getLogger('quic').warning('a certificate')"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stderr == ""
