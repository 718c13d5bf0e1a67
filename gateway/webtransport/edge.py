"""One edge process's parts, joined: QUIC, HTTP/3 on it, sessions, and the hop to the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from weakref import WeakSet

from gateway.webtransport.door import SessionDoor
from gateway.webtransport.edge_metrics import EdgeMetrics
from gateway.webtransport.edge_settings import door_rules_of, quic_rules_of
from gateway.webtransport.hop import Hop
from gateway.webtransport.http3.rules import Http3Rules
from gateway.webtransport.http3.server import Http3User
from gateway.webtransport.quic.certificates import Certificate
from gateway.webtransport.quic.listener import QuicListener
from gateway.webtransport.quic.metrics import QuicMetrics

if TYPE_CHECKING:
    import socket

    from prometheus_client import CollectorRegistry

    from gateway.webtransport.edge_settings import EdgeSettings
    from gateway.webtransport.interface import QuicPeer

_SESSIONS_END_S = 2.0
_FAREWELL_S = 1.0
_FAREWELL_POLL_S = 0.02


class WebTransportEdge:
    """Runs in the loop in which it is started, so that tests can have one beside their gateway.

    Raises:
        CertificateRejected: the pair cannot be used.
        ValueError: connection ids cannot be made so.
    """

    def __init__(self, settings: EdgeSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = EdgeMetrics(registry)
        quic_metrics = QuicMetrics(registry)
        tls = settings.webtransport.tls
        self._certificate = Certificate(tls.certificate_file, tls.key_file, watcher=_Reloads(quic_metrics))
        self._listener = QuicListener(quic_rules_of(settings), self._certificate, self._user, quic_metrics)
        self._http3 = Http3Rules(max_message_bytes=settings.max_message_bytes)
        self._users: WeakSet[Http3User] = WeakSet()
        self._hop: Hop | None = None
        self._door: SessionDoor | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def certificate_sha256(self) -> str:
        """Of the DER, in hexadecimal; another one when the files were changed."""
        return self._certificate.sha256_hex

    @property
    def is_self_signed(self) -> bool:
        leaf = self._certificate.pair.chain[0]
        return leaf.issuer == leaf.subject

    @property
    def sessions(self) -> int:
        return 0 if self._door is None else self._door.sessions

    @property
    def connections(self) -> int:
        return self._listener.connections

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound UDP socket, which stays the caller's."""
        self._hop = Hop(self._settings.hop)
        self._door = SessionDoor(self._hop, door_rules_of(self._settings), self._metrics)
        self._listener.start(sock)
        self._following = asyncio.create_task(self._certificate.follow())

    def _user(self, peer: QuicPeer) -> Http3User:
        if self._door is None:
            raise RuntimeError("nobody can connect before start()")
        user = Http3User(peer, self._door, self._http3)
        self._users.add(user)
        return user

    def gateway_lost(self) -> None:
        """It stands still: what it has is lost to clients, who may go on elsewhere."""
        if self._door is not None:
            self._door.forsaken()

    def gateway_found(self) -> None:
        if self._door is not None:
            self._door.found()

    def drain(self) -> None:
        """Nobody new comes in, also over connections that there are; sessions go on."""
        self._listener.drain()
        for user in list(self._users):
            user.drain()
        if self._door is not None:
            self._door.close()

    async def close(self) -> None:
        """What is left hears `draining`, within bounds; then everything is closed."""
        self.drain()
        if self._door is None or self._hop is None or self._following is None:
            return
        await self._door.empty(_SESSIONS_END_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._until_clients_left()
        await self._listener.close()
        await self._hop.close()
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def _until_clients_left(self) -> None:
        """They go when they have heard why."""
        while True:
            if not self._listener.connections:
                return
            await asyncio.sleep(_FAREWELL_POLL_S)


class _Reloads:
    """Counts what came of changed certificate files."""

    def __init__(self, metrics: QuicMetrics) -> None:
        self._metrics = metrics

    def certificate_reloaded(self, *, is_taken: bool) -> None:
        self._metrics.certificates.labels(outcome="taken" if is_taken else "refused").inc()
