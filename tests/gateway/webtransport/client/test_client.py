"""A client's sessions against a real server on loopback: each draft, whom it trusts, and all ways of not getting in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

import pytest
from aioquic.h3.connection import H3Connection

from gateway.webtransport.client.client import Target, connect_webtransport, target_of
from gateway.webtransport.client.errors import CannotConnect, NotTrusted, RefusedByStatus
from gateway.webtransport.client.options import ClientOptions
from gateway.webtransport.client.trust import CaFile, CertificateHash
from gateway.webtransport.http3.drafts import ENABLE_CONNECT_PROTOCOL, client_settings
from gateway.webtransport.interface import Draft
from gateway.wire.stream_messages import AUDIO, TEXT
from tests.harness.certificates import Authority
from tests.harness.webtransport_server import Place, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.interface import QuicPeer
    from tests.harness.webtransport_server import ScriptedServer

pytestmark = pytest.mark.integration

SHORT = ClientOptions(close_timeout_s=0.2)


def known(server: ScriptedServer) -> CertificateHash:
    return CertificateHash.of(server.certificate_sha256)


@pytest.mark.parametrize("draft", Draft)
async def test_a_session_of_each_draft_by_the_settings_of_that_draft_alone(tmp_path: Path, draft: Draft) -> None:
    async with (
        running_server(tmp_path) as server,
        connect_webtransport(
            f"{server.url}?a=b&c",
            headers={"Authorization": "Bearer x"},
            protocols=("other.v9", "patchbay.v1"),
            trust=known(server),
            draft=draft,
        ) as session,
    ):
        await session.send(TEXT, b"{}")
        await session.send(AUDIO, bytes(100_000))
        echoed = []
        async for message in session.messages():
            echoed.append(message)
            if len(echoed) == 2:
                break
        assert echoed == [(TEXT, b"{}"), (AUDIO, bytes(100_000))]
        assert session.protocol == "patchbay.v1"
        request = server.requests[0]
    assert (request.draft, request.path) == (draft, "/v1/stream?a=b&c")
    assert ("authorization", "Bearer x") in request.headers
    assert server.last.closed_with == (0, "")


class _Offering:
    """A server whose HTTP/3 offers these settings of WebTransport and answers nothing."""

    def __init__(self, peer: QuicPeer, offered: dict[int, int]) -> None:
        class Http3(H3Connection):
            def _get_local_settings(self) -> dict[int, int]:
                return {**super()._get_local_settings(), **offered}

        self._http3 = Http3(peer.quic)
        peer.send_soon()

    def quic_event(self, event: QuicEvent) -> None:
        self._http3.handle_event(event)

    def quic_sent(self) -> None: ...

    def quic_closed(self) -> None: ...


@pytest.mark.parametrize(
    ("draft", "spoken"),
    [
        (Draft.draft02, (Draft.draft13,)),
        (Draft.draft07, (Draft.draft02,)),
        (Draft.draft13, (Draft.draft02, Draft.draft07)),
    ],
)
async def test_no_session_is_asked_of_a_server_that_does_not_speak_the_draft(
    tmp_path: Path, draft: Draft, spoken: tuple[Draft, ...]
) -> None:
    offered = {ENABLE_CONNECT_PROTOCOL: 1}
    for each in spoken:
        offered |= client_settings(each)
    place = Place(user=lambda peer: _Offering(peer, offered))
    async with running_server(tmp_path, place) as server:
        with pytest.raises(CannotConnect, match=f"no WebTransport of {draft.value}"):
            async with connect_webtransport(server.url, trust=known(server), draft=draft, options=SHORT):
                pass


async def test_a_server_that_never_answers_is_left_in_time(tmp_path: Path) -> None:
    offered = {**client_settings(Draft.draft02), ENABLE_CONNECT_PROTOCOL: 1}
    place = Place(user=lambda peer: _Offering(peer, offered))
    async with running_server(tmp_path, place) as server:
        with pytest.raises(CannotConnect, match=r"no answer from 127\.0\.0\.1:\d+ within 2 s"):
            async with connect_webtransport(server.url, trust=known(server), timeout_s=2.0, options=SHORT):
                pass


async def test_where_nobody_listens_it_is_known_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(CannotConnect, match="nobody listens"):
        async with connect_webtransport(f"https://127.0.0.1:{port}/v1/stream", timeout_s=15):
            pass


async def test_where_nobody_answers_a_deadline_ends_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(CannotConnect, match=r"within 0\.2 s"):
            async with connect_webtransport(f"https://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.2):
                pass


async def test_whoever_gives_up_at_any_moment_leaves_no_socket_behind(tmp_path: Path) -> None:
    """Also in the turn of the loop in which the handshake is complete and nobody has heard so yet."""
    sockets = set_of_sockets()
    async with running_server(tmp_path) as server:
        at_rest = set_of_sockets() - sockets

        async def connects() -> None:
            async with connect_webtransport(server.url, trust=known(server), options=SHORT):
                pass

        for turns in range(1, 40):
            connecting = asyncio.create_task(connects())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            assert set_of_sockets() - sockets == at_rest, f"after {turns} turns"


def set_of_sockets() -> set[str]:
    """Of this process."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("status", [403, 404, 429, 503])
async def test_a_refusal_has_its_status(tmp_path: Path, status: int) -> None:
    async with running_server(tmp_path, status=status) as server:
        with pytest.raises(RefusedByStatus) as refusal:
            async with connect_webtransport(server.url, trust=known(server)):
                pass
    assert refusal.value.status == status


async def test_a_certificate_of_an_authority_is_trusted_for_its_name_alone(tmp_path: Path) -> None:
    """Also: of a host's addresses the first that answers is taken. `localhost` often has one where nobody listens."""
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "stranger")
    files = authority.issue("localhost")
    trusted = CaFile(files.ca_file)
    async with running_server(tmp_path, Place(certificate=(files.certificate_file, files.key_file))) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with connect_webtransport(url, trust=trusted) as session:
            await session.send(TEXT, b"{}")
            assert [message async for message in _first(session.messages())] == [(TEXT, b"{}")]
        for address, trust in (
            (server.url, trusted),
            (url, CaFile(stranger.files("localhost").ca_file)),
            (url, None),
        ):
            with pytest.raises(NotTrusted):
                async with connect_webtransport(address, trust=trust):
                    pass
        assert len(server.requests) == 1
    (tmp_path / "no.pem").write_text("no certificate")
    for name, why in (("nothing.pem", "cannot be read"), (".", "cannot be read"), ("no.pem", "no certificates in PEM")):
        with pytest.raises(NotTrusted, match=why):
            async with connect_webtransport(url, trust=CaFile(tmp_path / name), timeout_s=0.2):
                pass


async def _first(messages: AsyncIterator[tuple[int, bytes]]) -> AsyncIterator[tuple[int, bytes]]:
    async for message in messages:
        yield message
        return


async def test_another_certificate_than_the_one_that_is_meant_gets_no_request(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        with pytest.raises(NotTrusted, match="another hash"):
            async with connect_webtransport(server.url, trust=CertificateHash.of("ab" * 32)):
                pass
        both = CertificateHash.of("ab" * 32, server.certificate_sha256)
        async with connect_webtransport(server.url, trust=both):
            pass
        assert len(server.requests) == 1


def hosts_of_this_machine() -> list[str]:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ["127.0.0.1"]
    return ["127.0.0.1", "::1"]


@pytest.mark.parametrize("host", hosts_of_this_machine())
async def test_both_kinds_of_addresses_are_reached(tmp_path: Path, host: str) -> None:
    async with (
        running_server(tmp_path, Place(host=host)) as server,
        connect_webtransport(server.url, trust=known(server)) as session,
    ):
        assert session.local_address[0] == host
        assert server.requests[0].authority == server.url.split("/")[2]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://asr.example", Target("asr.example", 443, "asr.example", "/")),
        ("https://asr.example:443/v1/stream", Target("asr.example", 443, "asr.example", "/v1/stream")),
        ("https://asr.example:4433/v1?t=a%20b", Target("asr.example", 4433, "asr.example:4433", "/v1?t=a%20b")),
        ("https://[2001:db8::1]:4433/x", Target("2001:db8::1", 4433, "[2001:db8::1]:4433", "/x")),
        ("https://hörer.example/", Target("xn--hrer-5qa.example", 443, "xn--hrer-5qa.example", "/")),
    ],
)
def test_an_address_says_where_to_ask(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize("url", ["http://a/", "wss://a/", "https:///x", "https://me@a/", "https://a:x/", "a:1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|Port"):
        target_of(url)
