"""What a QUIC listener allows its clients; composed from settings, checked there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.webtransport.quic.connection_ids import ConnectionIdScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class QuicRules:
    """Limits of one process.

    Attributes:
        secret: at least 16 bytes; the same in all processes and gateways behind one address.
        retry_above_handshakes: unfinished handshakes from which a client must first show that its address is its own.
        retry_above_misunderstood_per_second: first packets that could not be decrypted, from which likewise.
        max_handshakes: unfinished handshakes of this process; what comes above it is dropped.
        max_connections: with a finished handshake; above it no new one is begun.
        stream_window_bytes: what a client may send on one stream ahead of what was read of it, and so also the most
            that waits for a missing piece.
        max_streams: open at a time, of each kind.
        max_streams_ever: of each kind in the life of a connection.
        ack_delay_ms: how long an acknowledgement may wait for company; clients are told 25.
    """

    secret: bytes
    connection_ids: ConnectionIdScheme
    idle_timeout_ms: int = 30_000
    retry_always: bool = False
    retry_above_handshakes: int = 64
    retry_above_misunderstood_per_second: int = 32
    max_handshakes: int = 512
    max_handshakes_per_address: int = 64
    handshake_timeout_ms: int = 10_000
    max_connections: int = 1_000
    max_waiting_initials: int = 256
    max_retries_per_second: int = 4_000
    max_resets_per_second: int = 200
    stream_window_bytes: int = 131_072
    connection_window_bytes: int = 262_144
    max_streams: int = 16
    max_streams_ever: int = 1_000
    max_unsent_datagrams: int = 64
    max_datagram_bytes: int = 1_232
    ack_delay_ms: int = 20
    alpn_protocols: tuple[str, ...] = ("h3",)
