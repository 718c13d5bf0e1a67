"""The UDP socket of a process: whose packet is this; and the connections themselves, from the first packet to the last.

Rules that must stay true:
- Packets of a turn are all read and given to their connections, then each connection that was touched speaks once.
- Who belongs to no connection is left to strangers.py, and comes after those who do.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from typing import TYPE_CHECKING

from aioquic.quic.configuration import QuicConfiguration

from gateway.webtransport.quic.own_addresses import OwnAddresses, own_addresses_of
from gateway.webtransport.quic.peer import Peer
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from gateway.webtransport.quic.stateless_resets import StatelessResets
from gateway.webtransport.quic.strangers import VERSIONS, Strangers
from gateway.webtransport.quic.timer_wheel import TimerWheel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gateway.webtransport.interface import QuicPeer, QuicUser
    from gateway.webtransport.quic.addresses import Address
    from gateway.webtransport.quic.certificates import Certificate
    from gateway.webtransport.quic.metrics import QuicMetrics
    from gateway.webtransport.quic.rules import QuicRules
    from gateway.webtransport.quic.strangers import Newcomer

_READ_BYTES = 2_048
_READS_A_TURN = 64
_LONG_HEADER_BIT = 0x80
_SHORTEST_LONG_HEADER_BYTES = 7
_H3_NO_ERROR = 0x100
_CLOSE_TURNS = 3


class QuicListener:
    """All connections of one process. Everything happens on one loop."""

    def __init__(
        self,
        rules: QuicRules,
        certificate: Certificate,
        user: Callable[[QuicPeer], QuicUser],
        metrics: QuicMetrics,
    ) -> None:
        self._rules = rules
        self._certificate = certificate
        self._user = user
        self._metrics = metrics
        self._ids = rules.connection_ids
        self._id_bytes = rules.connection_ids.length_bytes
        self._resets = StatelessResets(rules.secret)
        self._strangers = Strangers(self, rules, metrics)
        self._peers: dict[bytes, Peer] = {}
        self._alive: set[Peer] = set()
        self._handshakes_of: Counter[str] = Counter()
        self._handshakes = 0
        self._connections = 0
        self._touched: list[Peer] = []
        self._is_reading = False
        self._is_flush_due = False
        self._is_draining = False
        self._sock: socket.socket | None = None
        self._own: OwnAddresses | None = None
        self._configurations: tuple[object, QuicConfiguration] | None = None
        self._sent_bytes = 0
        self.loop: asyncio.AbstractEventLoop
        self.wheel: TimerWheel

    @property
    def connections(self) -> int:
        """With a finished handshake."""
        return self._connections

    @property
    def handshakes(self) -> int:
        """Begun, and neither finished nor failed."""
        return self._handshakes

    # Its life

    def start(self, sock: socket.socket) -> None:
        """Read from this bound UDP socket, in the running loop. Whoever bound it closes it."""
        sock.setblocking(False)
        self.loop = asyncio.get_running_loop()
        self._sock, self._own = sock, own_addresses_of(sock)
        # A line for each packet that breaks a rule would let anybody fill our log; metrics count them.
        logging.getLogger("quic").setLevel(logging.CRITICAL)
        self.wheel = TimerWheel(self.loop, after_all=self._flush)
        self.loop.add_reader(sock.fileno(), self._readable)

    def drain(self) -> None:
        """Refuse new connections; those there go on."""
        self._is_draining = True
        self._strangers.clear()

    async def close(self) -> None:
        """Tell all clients that their connection ends, and forget them."""
        self.drain()
        for peer in list(self._alive):
            if peer.is_finished:
                peer.close(_H3_NO_ERROR, "closing")
            else:
                peer.drop("closing")
        for _ in range(_CLOSE_TURNS):
            await asyncio.sleep(0)
        for peer in list(self._alive):
            peer.drop("closing")
        if self._sock is not None:
            self.loop.remove_reader(self._sock.fileno())
            self.wheel.close()
            self._sock = None

    # Reading

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        receive: Callable[[int], tuple[bytes, Address]] = sock.recvfrom if self._own is None else self._own.receive
        now = self.loop.time()
        received_bytes = 0
        self._is_reading = True
        try:
            for _ in range(_READS_A_TURN):
                try:
                    data, address = receive(_READ_BYTES)
                except (BlockingIOError, InterruptedError):
                    break
                except OSError:  # what ICMP said about an earlier datagram
                    continue
                received_bytes += len(data)
                self._take(data, address, now)
        finally:
            self._is_reading = False
            self._metrics.received_bytes.inc(received_bytes)
            self._flush()

    def _take(self, data: bytes, address: Address, now: float) -> None:
        if not data:
            return
        if data[0] & _LONG_HEADER_BIT:
            if len(data) < _SHORTEST_LONG_HEADER_BYTES:
                self._metrics.dropped.labels(reason="malformed").inc()
            elif not self.deliver(data, address, now):
                self._strangers.take(data, address)
            return
        peer = self._peers.get(data[1 : 1 + self._id_bytes])
        if peer is None:
            self._strangers.reset(data, address, now)
        else:
            peer.receive(data, address, now)

    # What strangers ask (gateway.webtransport.quic.strangers.StrangersHost)

    @property
    def is_refusing(self) -> bool:
        return self._is_draining or self._connections >= self._rules.max_connections

    def handshakes_of(self, network: str) -> int:
        return self._handshakes_of[network]

    def deliver(self, data: bytes, address: Address, now: float) -> bool:
        peer = self._peers.get(data[6 : 6 + data[5]])
        if peer is None:
            return False
        peer.receive(data, address, now)
        return True

    def begin(self, newcomer: Newcomer, now: float) -> bool:
        quic = ShortPacketConnection(
            configuration=self._configuration(),
            rules=self._rules,
            new_id=self._new_id,
            original_destination_connection_id=newcomer.original_id,
            retry_source_connection_id=newcomer.retry_id,
        )
        peer = Peer(self, quic, newcomer.address, handshake_due=now + self._rules.handshake_timeout_ms / 1000)
        self._alive.add(peer)
        self._handshakes += 1
        self._handshakes_of[peer.first_network] += 1
        self.id_issued(peer, newcomer.destination_id)
        self.id_issued(peer, quic.host_cid)
        peer.receive(newcomer.data, newcomer.address, now)
        if peer.has_understood_nothing():
            peer.drop("not_understood")
            return False
        self._metrics.handshakes.labels(outcome="begun").inc()
        return True

    def _configuration(self) -> QuicConfiguration:
        """Of new connections; made again when the certificate was."""
        pair = self._certificate.pair
        if self._configurations is None or self._configurations[0] is not pair:
            configuration = QuicConfiguration(
                is_client=False,
                alpn_protocols=list(self._rules.alpn_protocols),
                connection_id_length=self._id_bytes,
                idle_timeout=self._rules.idle_timeout_ms / 1000,
                max_data=self._rules.connection_window_bytes,
                max_stream_data=self._rules.stream_window_bytes,
                max_datagram_size=self._rules.max_datagram_bytes,
                max_datagram_frame_size=65_535,
                supported_versions=list(VERSIONS),
            )
            configuration.certificate = pair.chain[0]
            configuration.certificate_chain = list(pair.chain[1:])
            configuration.private_key = pair.private_key
            self._configurations = (pair, configuration)
        return self._configurations[1]

    def _new_id(self) -> tuple[bytes, bytes]:
        while True:
            made = self._ids.make(os.urandom(self._id_bytes))
            if made not in self._peers:
                return made, self._resets.token(made)

    # What peers say (gateway.webtransport.quic.peer.PeerHost)

    def flush_soon(self, peer: Peer) -> None:
        peer.is_touched = True
        self._touched.append(peer)
        if not self._is_reading and not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self._flush)

    def send(self, data: bytes, address: Address) -> None:
        if self._sock is None:
            return
        try:
            if self._own is None:
                self._sock.sendto(data, address)
            else:
                self._own.send(data, address)
        except OSError:  # full, or no way there: to QUIC a lost packet
            self._metrics.unsent.inc()
        else:
            self._sent_bytes += len(data)

    def id_issued(self, peer: Peer, connection_id: bytes) -> None:
        self._peers[connection_id] = peer
        peer.ids.add(connection_id)

    def id_retired(self, peer: Peer, connection_id: bytes) -> None:
        if connection_id in peer.ids:
            peer.ids.discard(connection_id)
            del self._peers[connection_id]

    def handshake_finished(self, peer: Peer) -> QuicUser | None:
        self._uncount_handshake(peer)
        self._connections += 1
        self._metrics.connections.set(self._connections)
        self._metrics.handshakes.labels(outcome="finished").inc()
        return self._user(peer)  # type: ignore[arg-type]

    def moved(self, peer: Peer, *, is_other_host: bool) -> None:
        self._metrics.migrations.labels(what="address" if is_other_host else "port").inc()

    def ended(self, peer: Peer, outcome: str) -> None:
        if peer.is_finished:
            self._connections -= 1
            self._metrics.connections.set(self._connections)
            self._metrics.closed.labels(by=outcome).inc()
        else:
            self._uncount_handshake(peer)
            self._metrics.handshakes.labels(outcome=outcome).inc()

    def forget(self, peer: Peer) -> None:
        for connection_id in peer.ids:
            del self._peers[connection_id]
        peer.ids.clear()
        self._alive.discard(peer)

    def _uncount_handshake(self, peer: Peer) -> None:
        self._handshakes -= 1
        network = peer.first_network
        self._handshakes_of[network] -= 1
        if not self._handshakes_of[network]:
            del self._handshakes_of[network]

    def _flush(self) -> None:
        self._is_flush_due = False
        if not self._touched:
            return
        touched, self._touched = self._touched, []
        now = self.loop.time()
        for peer in touched:
            peer.flush(now)
        self._metrics.sent_bytes.inc(self._sent_bytes)
        self._sent_bytes = 0
