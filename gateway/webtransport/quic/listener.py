"""The UDP socket of a process: whose packet is this, and may a stranger come in.

Rules that must stay true:
- A packet of an established connection is handled before the first packet of a stranger that came with it, and
  strangers get one handshake a turn of the loop: a flood of them delays nobody who is inside.
- A stranger costs memory only within three bounds: waiting first packets, unfinished handshakes, and those of one
  address. Under load it first shows that its address is its own (Retry), which costs no memory at all.
- What is answered without a connection (Retry, version negotiation, refusals, stateless resets) is smaller than what
  came, has a rate, and never answers itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import structlog
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)

from gateway.webtransport.quic.address_tokens import NONCE_BYTES, AddressTokens, TokenRefused, is_ours
from gateway.webtransport.quic.addresses import network_of
from gateway.webtransport.quic.answer_rate import AnswerRate
from gateway.webtransport.quic.peer import Peer
from gateway.webtransport.quic.refusals import connection_refusal
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from gateway.webtransport.quic.stateless_resets import SHORTEST_ANSWERED_BYTES, StatelessResets
from gateway.webtransport.quic.timer_wheel import TimerWheel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from aioquic.quic.packet import QuicHeader

    from gateway.webtransport.interface import QuicPeer, QuicUser
    from gateway.webtransport.quic.addresses import Address
    from gateway.webtransport.quic.certificates import Certificate
    from gateway.webtransport.quic.metrics import QuicMetrics
    from gateway.webtransport.quic.rules import QuicRules

log = structlog.get_logger("gateway")

VERSIONS = (QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2)
SMALLEST_INITIAL_BYTES = 1_200
_SMALLEST_CLIENTS_ID_BYTES = 8
_LARGEST_ID_BYTES = 20
_READ_BYTES = 2_048
_READS_A_TURN = 64
_LONG_HEADER_BIT = 0x80
_SHORTEST_LONG_HEADER_BYTES = 7
_RESET_NOISE_BYTES = 32
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
        self._tokens = AddressTokens(rules.secret)
        self._answer_rate = AnswerRate(rules.max_retries_per_second)
        self._reset_rate = AnswerRate(rules.max_resets_per_second)
        self._peers: dict[bytes, Peer] = {}
        self._alive: set[Peer] = set()
        self._handshakes_of: Counter[str] = Counter()
        self._handshakes = 0
        self._connections = 0
        self._touched: list[Peer] = []
        self._is_reading = False
        self._is_flush_due = False
        self._initials: deque[tuple[bytes, Address]] = deque()
        self._is_admission_due = False
        self._is_draining = False
        self._sock: socket.socket | None = None
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
        self._sock = sock
        # A line for each packet that breaks a rule would let anybody fill our log; metrics count them.
        logging.getLogger("quic").setLevel(logging.CRITICAL)
        self.wheel = TimerWheel(self.loop, after_all=self._flush)
        self.loop.add_reader(sock.fileno(), self._readable)

    def drain(self) -> None:
        """Refuse new connections; those there go on."""
        self._is_draining = True
        self._initials.clear()

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
        receive = sock.recvfrom
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
                self._drop("malformed")
                return
            peer = self._peers.get(data[6 : 6 + data[5]])
            if peer is None:
                self._take_stranger(data, address)
                return
        else:
            connection_id = data[1 : 1 + self._id_bytes]
            peer = self._peers.get(connection_id)
            if peer is None:
                self._reset(data, connection_id, address, now)
                return
        peer.receive(data, address, now)

    def _take_stranger(self, data: bytes, address: Address) -> None:
        """Only first packets and foreign versions are worth a look; they wait for their turn."""
        if len(data) < SMALLEST_INITIAL_BYTES or data[5] > _LARGEST_ID_BYTES:
            self._drop("unknown_connection")
            return
        if len(self._initials) >= self._rules.max_waiting_initials:
            self._drop("flooded")
            return
        self._initials.append((data, address))
        if not self._is_admission_due:
            self._is_admission_due = True
            self.loop.call_soon(self._admit_next)

    def _admit_next(self) -> None:
        """One stranger a turn."""
        self._is_admission_due = False
        if not self._initials:
            return
        data, address = self._initials.popleft()
        if self._initials:
            self._is_admission_due = True
            self.loop.call_soon(self._admit_next)
        now = self.loop.time()
        peer = self._peers.get(data[6 : 6 + data[5]])
        if peer is not None:
            peer.receive(data, address, now)
        else:
            self._meet(data, address, now)

    # Strangers

    def _meet(self, data: bytes, address: Address, now: float) -> None:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=self._id_bytes)
        except ValueError:
            self._drop("malformed")
            return
        if header.version not in VERSIONS:
            if header.version and self._answer_rate.take(now):
                self.send(
                    encode_quic_version_negotiation(
                        source_cid=header.destination_cid,
                        destination_cid=header.source_cid,
                        supported_versions=list(VERSIONS),
                    ),
                    address,
                )
            self._drop("version")
            return
        if header.packet_type is not QuicPacketType.INITIAL or len(header.destination_cid) < _SMALLEST_CLIENTS_ID_BYTES:
            self._drop("unknown_connection")
            return
        if self._is_draining or self._connections >= self._rules.max_connections:
            self._metrics.handshakes.labels(outcome="refused").inc()
            self._refuse(header, QuicErrorCode.CONNECTION_REFUSED, address, now)
            return
        self._let_in_with_token(header, data, address, now)

    def _let_in_with_token(self, header: QuicHeader, data: bytes, address: Address, now: float) -> None:
        original_id, retry_id = header.destination_cid, None
        if header.token and is_ours(header.token):
            told = self._tokens.original_id(
                header.token, address, destination_id=header.destination_cid, now_ms=_unix_ms()
            )
            if isinstance(told, TokenRefused):
                self._metrics.tokens_refused.labels(reason=told.value).inc()
                self._refuse(header, QuicErrorCode.INVALID_TOKEN, address, now)
                return
            original_id, retry_id = told, header.destination_cid
        elif self._rules.retry_always or self._handshakes >= self._rules.retry_above_handshakes:
            self._ask_again(header, address, now)
            return
        network = network_of(address)
        if self._handshakes >= self._rules.max_handshakes:
            self._drop("handshakes")
        elif self._handshakes_of[network] >= self._rules.max_handshakes_per_address:
            self._drop("handshakes_of_address")
        else:
            self._begin(header, data, address, now, original_id, retry_id)

    def _begin(
        self,
        header: QuicHeader,
        data: bytes,
        address: Address,
        now: float,
        original_id: bytes,
        retry_id: bytes | None,
    ) -> None:
        quic = ShortPacketConnection(
            configuration=self._configuration(),
            rules=self._rules,
            new_id=self._new_id,
            original_destination_connection_id=original_id,
            retry_source_connection_id=retry_id,
        )
        peer = Peer(self, quic, address, handshake_due=now + self._rules.handshake_timeout_ms / 1000)
        self._alive.add(peer)
        self._handshakes += 1
        self._handshakes_of[network_of(address)] += 1
        self.id_issued(peer, header.destination_cid)
        self.id_issued(peer, quic.host_cid)
        peer.receive(data, address, now)
        if peer.has_understood_nothing():
            peer.drop("not_understood")
            return
        self._metrics.handshakes.labels(outcome="begun").inc()

    def _ask_again(self, header: QuicHeader, address: Address, now: float) -> None:
        if not self._answer_rate.take(now):
            self._drop("flooded")
            return
        retry_id = self._ids.make(os.urandom(self._id_bytes))
        token = self._tokens.make(
            address,
            original_id=header.destination_cid,
            retry_id=retry_id,
            now_ms=_unix_ms(),
            nonce=os.urandom(NONCE_BYTES),
        )
        self._metrics.retries.inc()
        self.send(
            encode_quic_retry(
                version=header.version or 0,
                source_cid=retry_id,
                destination_cid=header.source_cid,
                original_destination_cid=header.destination_cid,
                retry_token=token,
            ),
            address,
        )

    def _refuse(self, header: QuicHeader, code: QuicErrorCode, address: Address, now: float) -> None:
        if self._answer_rate.take(now):
            self.send(connection_refusal(header, code), address)

    def _reset(self, data: bytes, connection_id: bytes, address: Address, now: float) -> None:
        self._drop("unknown_connection")
        if len(data) < SHORTEST_ANSWERED_BYTES or not self._reset_rate.take(now):
            return
        packet = self._resets.packet(connection_id, received_bytes=len(data), random=os.urandom(_RESET_NOISE_BYTES))
        if packet is not None:
            self._metrics.resets.inc()
            self.send(packet, address)

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

    def _drop(self, reason: str) -> None:
        self._metrics.dropped.labels(reason=reason).inc()

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
            self._sock.sendto(data, address)
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


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
