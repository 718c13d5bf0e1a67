"""aioquic's connection on a client's side: windows that slide, streams that are held, tokens of stateless resets.

The private parts of aioquic that are used here are those of 1.7.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from aioquic.quic.connection import QuicConnection, QuicConnectionState

from gateway.webtransport.quic.sliding_window import write_stream_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import ConnectionTerminated
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream
    from cryptography.x509 import Certificate

_LONG_HEADER_BIT = 0x80
_RESET_TOKEN_BYTES = 16
_LEAST_RESET_BYTES = 21
_PACKET_NUMBER_BYTES = 2
_TAG_BYTES = 16
_FRAME_OVERHEAD_BYTES = 3


class HeldQuicConnection(QuicConnection):
    """Gives a sliding window to each stream, and no more credit to those that are held."""

    def __init__(self, *, configuration: QuicConfiguration) -> None:
        super().__init__(configuration=configuration)
        self.held: set[int] = set()
        self._window_bytes = configuration.max_stream_data

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if stream.stream_id not in self.held:
            write_stream_limit(
                builder, stream, window_bytes=self._window_bytes, on_delivery=self._on_max_stream_data_delivery
            )

    def unsent_bytes(self, stream_id: int) -> int:
        """Given to the stream and not acknowledged."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    def is_delivered(self, stream_id: int) -> bool:
        """Whether the server has acknowledged all that was sent on the stream, and its end."""
        stream = self._streams.get(stream_id)
        return stream is None or stream.sender.is_finished

    @property
    def waiting_datagrams(self) -> int:
        return len(self._datagrams_pending)

    @property
    def largest_datagram_bytes(self) -> int:
        """What one DATAGRAM frame can carry, as far as a packet of ours goes and the server allows; 0 for none."""
        if self._remote_max_datagram_frame_size is None:
            return 0
        header_bytes = 1 + len(self._peer_cid.cid) + _PACKET_NUMBER_BYTES
        frame_bytes = self._max_datagram_size - header_bytes - _TAG_BYTES
        return max(0, min(frame_bytes, self._remote_max_datagram_frame_size) - _FRAME_OVERHEAD_BYTES)

    def is_stateless_reset(self, data: bytes) -> bool:
        """Whether a datagram ends with a token that the server gave for one of its connection ids."""
        if len(data) < _LEAST_RESET_BYTES or data[0] & _LONG_HEADER_BIT:
            return False
        tokens = [each.stateless_reset_token for each in (self._peer_cid, *self._peer_cid_available)]
        return any(token and hmac.compare_digest(token, data[-_RESET_TOKEN_BYTES:]) for token in tokens)

    @property
    def certificates(self) -> Sequence[Certificate]:
        """The server's own first; that it has its key is proven once the handshake is complete."""
        own = self.tls._peer_certificate
        return [] if own is None else [own, *self.tls._peer_certificate_chain]

    @property
    def has_handshake(self) -> bool:
        return self._handshake_complete

    @property
    def idle_at_s(self) -> float | None:
        """When it ends for want of packets; each that is the server's puts it off."""
        return self._close_at

    @property
    def is_owed_an_answer(self) -> bool:
        """Whether a server that lives has something to acknowledge."""
        return self._loss.bytes_in_flight > 0

    @property
    def is_ended_here(self) -> bool:
        """Whether this side ended it."""
        return self._state is QuicConnectionState.CLOSING

    @property
    def end(self) -> ConnectionTerminated | None:
        """Why nothing more will come of it, from the moment that it is known."""
        return self._close_event
