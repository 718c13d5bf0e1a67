"""A QUIC server and a client in one process without sockets: packets are handed over, time is a number.

The server's side is a `QuicUser` under test, on a peer that does what gateway.webtransport.quic.peer does; the client
is aioquic's HTTP/3 as it is, so that the two sides share none of our code.
"""

from __future__ import annotations

import datetime
import functools
import random
import ssl
from typing import TYPE_CHECKING

from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection, Setting
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.h3.events import H3Event
    from aioquic.quic.events import QuicEvent
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from gateway.webtransport.interface import QuicPeer, QuicUser

CLIENT = ("192.0.2.7", 40_000)
SERVER = ("192.0.2.1", 4_433)
_LARGEST_DATAGRAM_BYTES = 1_150
_STEP_S = 0.005


@functools.cache
def self_signed() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """One key and certificate for all tests of a process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "in-memory.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=10))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


class _ServerQuic(QuicConnection):
    """A datagram that fits no packet is refused, as our own server's connection does."""

    def send_datagram_frame(self, data: bytes) -> None:
        if len(data) > _LARGEST_DATAGRAM_BYTES:
            raise ValueError("the datagram is too large")
        super().send_datagram_frame(data)


class _ClientQuic(QuicConnection):
    """A client that may be told to give no more credit than it began with."""

    gives_credit = True

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if self.gives_credit:
            super()._write_stream_limits(builder, space, stream)


class InMemoryPeer:
    """Implements QuicPeer. `paused`: streams whose client gets no more credit."""

    def __init__(self, quic: QuicConnection) -> None:
        self.quic = quic
        self.address = CLIENT[0]
        self.paused: set[int] = set()

    def send_soon(self) -> None:
        """Everything is sent at the next step."""

    def pause(self, stream_id: int) -> None:
        self.paused.add(stream_id)

    def resume(self, stream_id: int) -> None:
        self.paused.discard(stream_id)

    @property
    def min_rtt_us(self) -> int | None:
        loss = self.quic._loss
        return round(loss._rtt_min * 1_000_000) if loss._rtt_initialized else None

    def unsent_bytes(self, stream_id: int) -> int:
        stream = self.quic._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    def close(self, code: int, reason: str = "") -> None:
        self.quic.close(error_code=code, reason_phrase=reason)


class Client:
    """aioquic's HTTP/3 with the settings that a test names, and what it heard."""

    def __init__(self, quic: QuicConnection, settings: dict[int, int], *, starts_http3: bool) -> None:
        self.quic = quic
        self.h3_events: list[H3Event] = []
        self.quic_events: list[QuicEvent] = []
        self.closed: ConnectionTerminated | None = None
        self._settings = settings
        self._starts_http3 = starts_http3
        self._http3: H3Connection | None = None
        self._webtransport_streams: set[int] = set()
        """They hold no frames of HTTP/3."""

    @property
    def http3(self) -> H3Connection:
        if self._http3 is None:
            self._http3 = _with_settings(self.quic, self._settings)
        return self._http3

    def take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self.quic_events.append(event)
            if isinstance(event, ConnectionTerminated):
                self.closed = event
            if getattr(event, "stream_id", None) in self._webtransport_streams:
                continue
            if self._starts_http3 and (self._http3 is not None or isinstance(event, HandshakeCompleted)):
                self.h3_events += self.http3.handle_event(event)

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Raw bytes."""
        self.quic.send_stream_data(stream_id, data, end)

    def open_stream(self, session_id: int, data: bytes = b"", *, end: bool = False, uni: bool = False) -> int:
        """A WebTransport stream of a session."""
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=uni)
        head = encode_uint_var(0x54 if uni else 0x41) + encode_uint_var(session_id)
        self.quic.send_stream_data(stream_id, head + data, end)
        self._webtransport_streams.add(stream_id)
        return stream_id

    def stream_data(self, stream_id: int) -> bytes:
        """All that came on a stream, as QUIC delivered it."""
        return b"".join(
            event.data
            for event in self.quic_events
            if isinstance(event, StreamDataReceived) and event.stream_id == stream_id
        )

    def is_ended(self, stream_id: int) -> bool:
        return any(
            isinstance(event, StreamDataReceived) and event.stream_id == stream_id and event.end_stream
            for event in self.quic_events
        )

    def resets(self) -> dict[int, int]:
        """Error codes of the streams that the server reset."""
        return {event.stream_id: event.error_code for event in self.quic_events if isinstance(event, StreamReset)}

    def stops(self) -> dict[int, int]:
        """Error codes of the streams that the server does not read."""
        return {
            event.stream_id: event.error_code for event in self.quic_events if isinstance(event, StopSendingReceived)
        }


def _with_settings(quic: QuicConnection, settings: dict[int, int]) -> H3Connection:
    own = {Setting.QPACK_MAX_TABLE_CAPACITY: 4_096, Setting.QPACK_BLOCKED_STREAMS: 16, **settings}

    class WithSettings(H3Connection):
        def _get_local_settings(self) -> dict[int, int]:
            return dict(own)

    return WithSettings(quic)


class InMemoryPair:
    """Both ends, joined by lists of packets."""

    def __init__(
        self,
        user: Callable[[QuicPeer], QuicUser],
        *,
        settings: dict[int, int],
        loss: float = 0.0,
        seed: int = 0,
        client_reads_bytes: int | None = None,
        starts_http3: bool = True,
    ) -> None:
        """
        Args:
            user: makes what is under test once the handshake is complete.
            settings: of the client's HTTP/3.
            client_reads_bytes: of each stream; the client gives no credit beyond them.
            loss: the share of packets, of both directions, that do not arrive.
        """
        key, certificate = self_signed()
        self.now_s = 1_000.0
        self.user: QuicUser | None = None
        self.is_cut = False
        self._random = random.Random(seed)
        self._make_user = user
        self._is_told_closed = False
        client_quic = _ClientQuic(
            configuration=QuicConfiguration(
                is_client=True,
                alpn_protocols=["h3"],
                verify_mode=ssl.CERT_NONE,
                max_datagram_frame_size=65_536,
                max_stream_data=client_reads_bytes or 1 << 20,
            )
        )
        client_quic.gives_credit = client_reads_bytes is None
        self.client = Client(client_quic, settings, starts_http3=starts_http3)
        client_quic.connect(SERVER, now=self.now_s)
        self.server_quic = _ServerQuic(
            configuration=QuicConfiguration(
                is_client=False,
                alpn_protocols=["h3"],
                certificate=certificate,
                private_key=key,
                max_datagram_frame_size=65_536,
                idle_timeout=30.0,
            ),
            original_destination_connection_id=client_quic.original_destination_connection_id,
        )
        self.peer = InMemoryPeer(self.server_quic)
        self.loss = 0.0
        self.run()
        self.loss = loss

    def run(self, *, for_s: float = 0.1) -> None:
        """Hand packets over until neither side has any, and go on through timers for so long."""
        until_s = self.now_s + for_s
        while True:
            while self._exchange():
                pass
            if self.now_s >= until_s:
                return
            self.now_s += _STEP_S
            for quic in (self.client.quic, self.server_quic):
                timer_at = quic.get_timer()
                if timer_at is not None and timer_at <= self.now_s:
                    quic.handle_timer(now=self.now_s)

    def _exchange(self) -> bool:
        moved = self._move(self.client.quic, self.server_quic, CLIENT)
        self._server_events()
        moved = self._move(self.server_quic, self.client.quic, SERVER) or moved
        self.client.take_events()
        return moved

    def _move(self, source: QuicConnection, target: QuicConnection, source_address: tuple[str, int]) -> bool:
        packets = source.datagrams_to_send(now=self.now_s)
        for data, _ in packets:
            if self.is_cut or (self.loss and self._random.random() < self.loss):
                continue
            target.receive_datagram(data, source_address, now=self.now_s)
        return bool(packets)

    def _server_events(self) -> None:
        while (event := self.server_quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.user = self._make_user(self.peer)
            elif self.user is None:
                continue
            elif isinstance(event, ConnectionTerminated):
                if not self._is_told_closed:
                    self._is_told_closed = True
                    self.user.quic_closed()
            elif isinstance(event, StreamDataReceived | DatagramFrameReceived | StreamReset | StopSendingReceived):
                self.user.quic_event(event)
        if self.user is not None and not self._is_told_closed:
            self.user.quic_sent()
