"""A QUIC listener with an echo above it, and aioquic clients that a test can turn every screw of."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StreamDataReceived,
)
from prometheus_client import CollectorRegistry

from gateway import dev_certificates
from gateway.webtransport.quic.certificates import Certificate
from gateway.webtransport.quic.connection_ids import connection_id_scheme
from gateway.webtransport.quic.listener import QuicListener
from gateway.webtransport.quic.metrics import QuicMetrics
from gateway.webtransport.quic.reuseport import bind_reuseport
from gateway.webtransport.quic.rules import QuicRules

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.webtransport.interface import QuicPeer

SECRET = b"sixteen bytes or more"


class Echo:
    """Says on each stream what it hears there, and each datagram again."""

    def __init__(self, peer: QuicPeer) -> None:
        self.peer = peer
        self.heard: dict[int, int] = {}
        self.closed = 0
        self.sent_news = 0
        self.is_silent = False

    def quic_event(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            self.heard[event.stream_id] = self.heard.get(event.stream_id, 0) + len(event.data)
            if event.data == b"raise":
                raise RuntimeError("as asked")
            if not self.is_silent and event.stream_id % 4 == 0:
                self.peer.quic.send_stream_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, DatagramFrameReceived):
            self.peer.quic.send_datagram_frame(event.data)

    def quic_sent(self) -> None:
        self.sent_news += 1

    def quic_closed(self) -> None:
        self.closed += 1


class RunningListener:
    """One listener on a port of its own."""

    def __init__(
        self, directory: Path, rules: QuicRules | None = None, *, port: int = 0, sock: socket.socket | None = None
    ) -> None:
        self.files = dev_certificates.create_or_renew(directory)
        self.rules = rules or quic_rules()
        self.registry = CollectorRegistry()
        self.metrics = QuicMetrics(self.registry)
        self.certificate = Certificate(self.files.certificate_file, self.files.key_file)
        self.users: list[Echo] = []
        self.listener = QuicListener(self.rules, self.certificate, self._user, self.metrics)
        self._group = None
        if sock is None:
            self._group = bind_reuseport("127.0.0.1", port, sockets=1, layout=self.rules.connection_ids.layout)
            (sock,) = self._group.sockets
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.listener.start(sock)

    def _user(self, peer: QuicPeer) -> Echo:
        user = Echo(peer)
        self.users.append(user)
        return user

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"patchbay_quic_{name}", labels) or 0.0

    async def close(self) -> None:
        await self.listener.close()
        if self._group is not None:
            self._group.close()


def quic_rules(**changed: Any) -> QuicRules:
    usual: dict[str, Any] = {"secret": SECRET, "connection_ids": connection_id_scheme("plain")}
    return QuicRules(**(usual | changed))


@asynccontextmanager
async def listening(
    directory: Path, rules: QuicRules | None = None, *, port: int = 0
) -> AsyncIterator[RunningListener]:
    running = RunningListener(directory, rules, port=port)
    try:
        yield running
    finally:
        await running.close()


class RawClient(QuicConnectionProtocol):
    """Remembers everything; ends at a stateless reset, which aioquic by itself does not look for."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.received: dict[int, bytes] = {}
        self.datagrams: list[bytes] = []
        self.finished_handshake: HandshakeCompleted | None = None
        self.terminated: ConnectionTerminated | None = None
        self.was_reset = False
        self.is_silent = False

    def transmit(self) -> None:
        if not self.is_silent:
            super().transmit()

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        quic = cast("Any", self._quic)
        tokens = [
            quic._peer_cid.stateless_reset_token,
            *(cid.stateless_reset_token for cid in quic._peer_cid_available),
        ]
        if cast("bytes", data)[-16:] in [token for token in tokens if token]:
            self.was_reset = True
            return
        super().datagram_received(data, addr)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            self.received[event.stream_id] = self.received.get(event.stream_id, b"") + event.data
        elif isinstance(event, DatagramFrameReceived):
            self.datagrams.append(event.data)
        elif isinstance(event, HandshakeCompleted):
            self.finished_handshake = event
        elif isinstance(event, ConnectionTerminated):
            self.terminated = event

    @property
    def quic(self) -> Any:
        return self._quic

    def say(self, data: bytes, *, stream_id: int = 0, end: bool = False) -> None:
        self._quic.send_stream_data(stream_id, data, end)
        self.transmit()

    async def rebind(self, *, host: str = "127.0.0.1") -> None:
        """Go on from another port, as after a NAT has forgotten us."""
        loop = asyncio.get_running_loop()
        old = self._transport
        transport, _ = await loop.create_datagram_endpoint(lambda: _Forwarding(self), local_addr=(host, 0))
        self._transport = transport
        if old is not None:
            old.close()


class _Forwarding(asyncio.DatagramProtocol):
    def __init__(self, client: RawClient) -> None:
        self._client = client

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._client.datagram_received(data, addr)


def client_configuration(**changed: Any) -> QuicConfiguration:
    made: dict[str, Any] = {
        "is_client": True,
        "alpn_protocols": ["h3"],
        "verify_mode": ssl.CERT_NONE,
        "max_datagram_frame_size": 65_535,
        "server_name": "localhost",
    }
    return QuicConfiguration(**(made | changed))


@asynccontextmanager
async def raw_client(
    address: tuple[str, int],
    configuration: QuicConfiguration | None = None,
    *,
    is_waiting: bool = True,
    **connection: Any,
) -> AsyncIterator[RawClient]:
    quic = QuicConnection(configuration=configuration or client_configuration(), **connection)
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(lambda: RawClient(quic), local_addr=("127.0.0.1", 0))
    try:
        client.connect(address)
        if is_waiting:
            async with asyncio.timeout(60):
                await client.wait_connected()
        yield client
    finally:
        client.close()
        cast("Any", client._transport).close()
        transport.close()
        if client._timer is not None:
            client._timer.cancel()
