"""A WebTransport server in the test's own process, whose sessions are the test's to script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from gateway.dev_certificates import create_or_renew
from gateway.webtransport.http3.rules import Http3Rules
from gateway.webtransport.http3.server import Http3User
from gateway.webtransport.interface import ConnectRequest, PageAnswer, WebTransportSession
from gateway.webtransport.quic.certificates import Certificate
from gateway.webtransport.quic.connection_ids import connection_id_scheme
from gateway.webtransport.quic.listener import QuicListener
from gateway.webtransport.quic.metrics import QuicMetrics
from gateway.webtransport.quic.rules import QuicRules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.webtransport.interface import QuicPeer, QuicUser


SECRET = bytes(range(32))


@dataclass
class ScriptedSession:
    """Writes down what comes; `on_message` may answer."""

    session: WebTransportSession
    on_message: Callable[[ScriptedSession, int, bytes], None]
    messages: list[tuple[int, bytes]] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)
    has_finished_sending: bool = False
    broken_because: str | None = None
    closed_with: tuple[int | None, str] | None = None

    def received(self, kind: int, payload: bytes) -> None:
        self.messages.append((kind, payload))
        self.on_message(self, kind, payload)

    def broken(self, why: str) -> None:
        self.broken_because = why
        self.session.close(1, why)

    def too_large(self) -> None:
        self.broken("too large")

    def finished_sending(self) -> None:
        self.has_finished_sending = True

    def datagram(self, payload: bytes) -> None:
        self.datagrams.append(payload)

    def sent(self) -> None:
        """Nothing waits for it."""

    def closed(self, code: int | None, reason: str) -> None:
        self.closed_with = (code, reason)


def echo(scripted: ScriptedSession, kind: int, payload: bytes) -> None:
    scripted.session.send(kind, payload)


def silent(_scripted: ScriptedSession, _kind: int, _payload: bytes) -> None:
    """Says nothing."""


@dataclass
class ScriptedServer:
    """Its door is open, unless `status` says something else."""

    url: str = ""
    certificate_sha256: str = ""
    status: int = 200
    on_message: Callable[[ScriptedSession, int, bytes], None] = echo
    on_enter: Callable[[ScriptedSession], None] = lambda _session: None
    requests: list[ConnectRequest] = field(default_factory=list)
    sessions: list[ScriptedSession] = field(default_factory=list)
    port: int = 0
    forgets: Callable[[bytes], None] = lambda _secret: None
    """Another process has its socket, with this secret."""
    dies: Callable[[], None] = lambda: None
    """Nothing comes of it any more, and its port is free, as if it was killed."""

    def knock(self, request: ConnectRequest) -> int:
        self.requests.append(request)
        return self.status

    def enter(self, session: WebTransportSession) -> None:
        scripted = ScriptedSession(session, self.on_message)
        self.sessions.append(scripted)
        session.listen(scripted)
        self.on_enter(scripted)

    async def page(self, request: ConnectRequest) -> PageAnswer:
        return PageAnswer(404, (), b"")

    @property
    def last(self) -> ScriptedSession:
        return self.sessions[-1]


def _die(bound: socket.socket) -> None:
    """Another socket takes the place of its own: what it still sends comes from elsewhere."""
    asyncio.get_running_loop().remove_reader(bound)
    with socket.socket(bound.family, socket.SOCK_DGRAM) as other:
        os.dup2(other.fileno(), bound.fileno())


@dataclass(frozen=True, slots=True)
class Place:
    """Where it listens and as whom. `certificate`: its file and its key's; None: one is made."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: tuple[Path, Path] | None = None
    secret: bytes = SECRET
    user: Callable[[QuicPeer], QuicUser] | None = None
    """In place of HTTP/3 with the scripted server behind it."""


@contextlib.asynccontextmanager
async def running_server(folder: Path, place: Place = Place(), **options: Any) -> AsyncIterator[ScriptedServer]:
    """`folder`: where a certificate is made. `options`: of ScriptedServer."""
    server = ScriptedServer(**options)
    certificate = place.certificate
    if certificate is None:
        made = create_or_renew(folder)
        certificate = made.certificate_file, made.key_file
    pair = Certificate(*certificate)

    def user(peer: QuicPeer) -> Http3User:
        return Http3User(peer, server, Http3Rules(max_message_bytes=1_048_576))

    def listener_with(secret: bytes) -> QuicListener:
        rules = QuicRules(secret=secret, connection_ids=connection_id_scheme("plain"))
        return QuicListener(rules, pair, place.user or user, QuicMetrics(CollectorRegistry()))

    def forget(secret: bytes) -> None:
        asyncio.get_running_loop().remove_reader(bound)
        after = listener_with(secret)
        after.start(bound)
        listeners.append(after)

    listeners = [listener_with(place.secret)]
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.bind((place.host, place.port))
        shown = f"[{place.host}]" if ":" in place.host else place.host
        server.port = bound.getsockname()[1]
        server.url = f"https://{shown}:{server.port}/v1/stream"
        server.certificate_sha256 = pair.sha256_hex
        server.dies = partial(_die, bound)
        server.forgets = forget
        listeners[0].start(bound)
        try:
            yield server
        finally:
            for listener in reversed(listeners):
                await listener.close()
