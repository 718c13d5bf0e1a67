"""A listener behind proxies: real sockets, both loops, and HAProxy itself in front."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.admission.client_address import TrustedProxies
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.transports.proxy_protocol import SIGNATURE
from gateway.transports.proxy_protocol_listener import ProxyRules, bound_sockets, listening
from tests.harness.certificates import Authority
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    Runs = Callable[[Coroutine[Any, Any, None]], None]

pytestmark = pytest.mark.integration

TIMEOUT_MS = 200
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "haproxy"
FROM_CLIENT = SIGNATURE + struct.pack("!BBH4s4sHH", 0x21, 0x11, 12, b"\xc0\x00\x02\x01", bytes(4), 4711, 443)
FROM_PROXY = SIGNATURE + struct.pack("!BBH", 0x20, 0x00, 0)
REQUEST = b"GET /peer HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Tls:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    files = Authority(tmp_path / "authority").issue("gateway")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate_file, files.key_file)
    client = ssl.create_default_context(cafile=files.ca_file)
    client.check_hostname = False  # it is of no address
    return Tls(server, client)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runs:
    """Runs a test on one of the loops: gateways use uvloop, tests mostly the other."""

    def run(test: Coroutine[Any, Any, None]) -> None:
        async def within_time() -> None:
            async with asyncio.timeout(60):
                await test

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(within_time())

    return run


@dataclass
class Listener:
    port: int
    server: web.Server
    registry: CollectorRegistry

    def outcomes(self, outcome: str) -> float:
        return self.registry.get_sample_value("patchbay_proxy_headers_total", {"outcome": outcome}) or 0.0


async def _peer(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.remote} {request.scheme}")


async def _echo(request: web.Request) -> web.StreamResponse:
    """A WebSocket that says who is there, then what it hears."""
    heard = web.WebSocketResponse()
    await heard.prepare(request)
    await heard.send_str(str(request.remote))
    async for message in heard:
        await heard.send_bytes(message.data)
    return heard


@contextlib.asynccontextmanager
async def listener_of(tls: ssl.SSLContext | None = None, *, trusted: str = "127.0.0.0/8") -> AsyncIterator[Listener]:
    app = web.Application()
    app.router.add_get("/peer", _peer)
    app.router.add_get("/echo", _echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    registry = CollectorRegistry()
    rules = ProxyRules(TrustedProxies([trusted]), TIMEOUT_MS, GeographyMetrics(registry).proxy_headers)
    sockets = await bound_sockets("127.0.0.1", 0, backlog=16)
    try:
        async with listening(runner.server, sockets, tls, rules):
            yield Listener(sockets[0].getsockname()[1], runner.server, registry)
    finally:
        await runner.cleanup()


async def answer_to(port: int, *pieces: bytes) -> bytes:
    """All that comes back. The loop turns between the pieces, so that they are read one by one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await reader.read()
    return b""


@contextlib.contextmanager
def haproxy_before(plain_port: int, secure_port: int, scratch: Path) -> Iterator[tuple[int, int]]:
    """HAProxy passing TCP on to two ports with `send-proxy-v2`; gives its own two ports."""
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as secure:
        config = scratch / "haproxy.cfg"
        config.write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
            f"listen plain\n  bind fd@{plain.fileno()}\n  server a 127.0.0.1:{plain_port} send-proxy-v2\n"
            f"listen secure\n  bind fd@{secure.fileno()}\n"
            f"  server b 127.0.0.1:{secure_port} send-proxy-v2 proxy-v2-options crc32c,unique-id\n"
        )
        process = subprocess.Popen(
            [HAPROXY, "-db", "-q", "-f", str(config)], pass_fds=[plain.fileno(), secure.fileno()]
        )
        try:
            yield plain.getsockname()[1], secure.getsockname()[1]
        finally:
            process.kill()
            process.wait()


def test_the_peer_is_the_client_that_the_header_names(run: Runs) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            assert (await answer_to(listener.port, FROM_CLIENT + REQUEST)).endswith(b"\r\n\r\n192.0.2.1 http")
            assert listener.outcomes("accepted") == 1

    run(test())


def test_a_header_may_come_in_pieces_of_any_size(run: Runs) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            whole = FROM_CLIENT + REQUEST
            for at in (1, 11, 12, 15, 16, 17, len(FROM_CLIENT) - 1, len(FROM_CLIENT), len(FROM_CLIENT) + 1):
                assert (await answer_to(listener.port, whole[:at], whole[at:])).endswith(b"192.0.2.1 http")
            assert (await answer_to(listener.port, *(whole[at : at + 1] for at in range(len(whole))))).endswith(b"http")

    run(test())


def test_the_proxys_own_connection_has_the_proxy_as_its_peer(run: Runs) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            assert (await answer_to(listener.port, FROM_PROXY + REQUEST)).endswith(b"127.0.0.1 http")
            assert listener.outcomes("own") == 1

    run(test())


@pytest.mark.parametrize(
    "sent", [REQUEST, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + REQUEST, bytes(16), FROM_CLIENT[:13] * 2]
)
def test_what_begins_otherwise_is_closed_without_an_answer(run: Runs, sent: bytes) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            assert await answer_to(listener.port, sent) == b""
            await until(lambda: listener.outcomes("malformed") == 1)

    run(test())


@pytest.mark.parametrize("sent", [b"", FROM_CLIENT[:5], FROM_CLIENT[:-1]])
def test_a_header_that_is_not_whole_in_time_is_closed(run: Runs, sent: bytes) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            assert await answer_to(listener.port, sent) == b""
            assert listener.outcomes("late") == 1

    run(test())


def test_one_who_waits_with_his_header_holds_up_nobody(run: Runs) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            slow = asyncio.create_task(answer_to(listener.port, FROM_CLIENT[:3]))
            await asyncio.sleep(0)
            assert (await answer_to(listener.port, FROM_CLIENT + REQUEST)).endswith(b"http")
            assert await slow == b""

    run(test())


def test_whoever_is_no_trusted_proxy_is_closed_and_not_read(run: Runs) -> None:
    async def test() -> None:
        async with listener_of(trusted="10.0.0.0/8") as listener:
            assert await answer_to(listener.port, FROM_CLIENT + REQUEST) == b""
            assert listener.outcomes("untrusted") == 1

    run(test())


def test_one_who_leaves_before_his_header_is_counted_and_forgotten(run: Runs) -> None:
    async def test() -> None:
        async with listener_of() as listener:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.close()
            await until(lambda: listener.outcomes("gone") == 1)

    run(test())


def test_tls_begins_behind_the_header(run: Runs, tls: Tls) -> None:
    async def test() -> None:
        async with listener_of(tls.server) as listener:
            raw = socket.create_connection(("127.0.0.1", listener.port))  # whoever speaks TLS over it closes it
            raw.sendall(FROM_CLIENT)
            reader, writer = await asyncio.open_connection(sock=raw, ssl=tls.client, server_hostname="gateway")
            writer.write(REQUEST)
            assert (await reader.read()).endswith(b"192.0.2.1 https")
            writer.close()

    run(test())


def test_a_client_that_does_not_speak_tls_behind_the_header_is_closed(run: Runs, tls: Tls) -> None:
    async def test() -> None:
        async with listener_of(tls.server) as listener:
            await answer_to(listener.port, FROM_CLIENT + REQUEST)
            await answer_to(listener.port, FROM_CLIENT)
            assert (listener.outcomes("accepted"), len(listener.server.connections)) == (2, 0)

    run(test())


def test_haproxy_in_front_passes_on_the_client_over_plain_connections_and_tls(
    run: Runs, tls: Tls, tmp_path: Path
) -> None:
    """One client a loopback address, so that the proxy's own is another one."""

    async def test() -> None:
        async with listener_of() as plain, listener_of(tls.server) as secure:
            with haproxy_before(plain.port, secure.port, tmp_path) as (plain_port, secure_port):
                connector = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0), ssl=tls.client)
                async with aiohttp.ClientSession(connector=connector) as client:
                    for scheme, port in (("ws", plain_port), ("wss", secure_port)):
                        async with client.ws_connect(f"{scheme}://127.0.0.1:{port}/echo") as socket:
                            assert await socket.receive_str() == "127.0.0.9"
                            await socket.send_bytes(bytes(100_000))
                            assert await socket.receive_bytes() == bytes(100_000)
            assert plain.outcomes("accepted") == secure.outcomes("accepted") == 1
            assert plain.outcomes("malformed") == secure.outcomes("malformed") == 0

    run(test())


def test_a_port_that_is_taken_is_told(run: Runs) -> None:
    async def test() -> None:
        (first,) = await bound_sockets("127.0.0.1", 0, backlog=1)
        with first, pytest.raises(OSError, match="in use"):
            await bound_sockets("127.0.0.1", first.getsockname()[1], backlog=1)

    run(test())
