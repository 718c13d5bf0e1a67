"""aioquic's connection with our connection ids, with windows that slide, streams that pause, and bounds on its client.

Rules that must stay true:
- Ids and reset tokens are ours everywhere where aioquic draws random ones: here and in the Retry of listener.py.
- What waits for a missing piece is bounded by a stream's window, and in pieces by MAX_PIECES. (aioquic doubles a
  stream's window each time half of it was used, for ever.)
- A paused stream gets no credit; the connection's window goes on, so that its other streams do.
- No session tickets are made, so that no client can send early data.

The private parts of aioquic that are replaced here are pinned by test_server_connection.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    CONNECTION_LIMIT_FRAME_CAPACITY,
    Limit,
    QuicConnection,
    QuicConnectionError,
    QuicConnectionId,
    QuicReceiveContext,
)
from aioquic.quic.packet import QuicErrorCode

from gateway.webtransport.quic.sliding_window import write_stream_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from gateway.webtransport.quic.addresses import Address
    from gateway.webtransport.quic.rules import QuicRules

MAX_PIECES = 256
"""Of one stream, received with gaps between them. A full window of small packets, every other one lost, is fewer."""
MAX_CRYPTO_BYTES = 16_384
"""Of a client's handshake messages; the largest ClientHello seen, with post-quantum keys, is below 2,000."""
MAX_CRYPTO_PIECES = 32
MAX_PEER_IDS_EVER = 2_048
MAX_REASON_BYTES = 256
MAX_FAREWELL_S = 3.0
"""How long a connection that is closed is kept. A client that answers slowly would else stretch it to minutes."""
_LOCAL_IDS = 8
# Short header with the longest id, packet number, tag; type and length of the DATAGRAM frame.
_DATAGRAM_OVERHEAD_BYTES = 1 + 20 + 2 + 16 + 1 + 2


class DatagramTooLarge(ValueError):
    """A DATAGRAM does not fit into one packet to this client, or it takes none at all."""


class ServerConnection(QuicConnection):
    """One connection to a client; sans I/O, as aioquic's."""

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        rules: QuicRules,
        new_id: Callable[[], tuple[bytes, bytes]],
        original_destination_connection_id: bytes,
        retry_source_connection_id: bytes | None,
    ) -> None:
        """
        Args:
            new_id: a connection id that nobody has, and its stateless reset token.
        """
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )
        self._rules = rules
        self._new_id = new_id
        self._paused: set[int] = set()
        self._is_connection_paused = False
        first_id, token = new_id()
        self._host_cids = [
            QuicConnectionId(cid=first_id, sequence_number=0, stateless_reset_token=token, was_sent=True)
        ]
        self.host_cid = first_id
        self._local_initial_source_connection_id = first_id
        for limit in (self._local_max_streams_bidi, self._local_max_streams_uni):
            limit.value = limit.sent = rules.max_streams
        self._ack_delay = rules.ack_delay_ms / 1000
        self.dropped_datagrams = 0
        self.has_news_of_sent = False

    # What the layers above use

    @property
    def largest_datagram_bytes(self) -> int:
        """What a DATAGRAM frame may carry to this client; 0: it takes none."""
        remote = self._remote_max_datagram_frame_size
        if not remote:
            return 0
        ours = self._max_datagram_size - _DATAGRAM_OVERHEAD_BYTES
        return max(0, min(ours, remote - 3))

    @property
    def min_rtt_us(self) -> int | None:
        """RFC 9002 §5.2; None: nothing was acknowledged yet."""
        return round(self._loss._rtt_min * 1_000_000) if self._loss._rtt_initialized else None

    def send_datagram_frame(self, data: bytes) -> None:
        """Raises DatagramTooLarge. Of those that cannot go out yet, the oldest is dropped above a number."""
        if len(data) > self.largest_datagram_bytes:
            raise DatagramTooLarge(f"{len(data)} bytes; this client takes {self.largest_datagram_bytes}")
        pending = self._datagrams_pending
        if len(pending) >= self._rules.max_unsent_datagrams:
            pending.popleft()
            self.dropped_datagrams += 1
        pending.append(data)

    def pause_stream(self, stream_id: int) -> None:
        self._paused.add(stream_id)

    def resume_stream(self, stream_id: int) -> None:
        self._paused.discard(stream_id)

    def unsent_bytes(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        return stream.sender._buffer_stop - stream.sender._buffer_start

    def close_for_application(self, code: int, reason: str) -> None:
        """With a reason that always fits into one packet."""
        shown = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self.close(error_code=code, reason_phrase=shown)

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Once the end of a connection is decided, what else of it comes in the same turn is not even looked at."""
        if not self._close_pending:
            super().receive_datagram(data, addr, now)

    def _close_begin(self, is_initiator: bool, now: float) -> None:
        super()._close_begin(is_initiator, now)
        if self._close_at is None or self._close_at > now + MAX_FAREWELL_S:
            self._close_at = now + MAX_FAREWELL_S

    # Connection ids

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        if not self._peer_cid.cid:
            # aioquic waits for another id before it answers on another path. A client whose ids are empty, as
            # Chromium's are, has but that one, and it holds everywhere (RFC 9000 §5.1).
            for path in self._network_paths[1:]:
                path.peer_cid = self._peer_cid
        made: list[tuple[bytes, Address]] = super().datagrams_to_send(now)
        return made

    def _retire_peer_cid(self, connection_id: QuicConnectionId) -> None:
        if connection_id.cid:  # an empty one cannot be retired (RFC 9000 §19.16)
            super()._retire_peer_cid(connection_id)

    def _replenish_connection_ids(self) -> None:
        while len(self._host_cids) < min(_LOCAL_IDS, self._remote_active_connection_id_limit):
            connection_id, token = self._new_id()
            self._host_cids.append(
                QuicConnectionId(cid=connection_id, sequence_number=self._host_cid_seq, stateless_reset_token=token)
            )
            self._host_cid_seq += 1

    # Windows

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if stream.stream_id not in self._paused:
            write_stream_limit(
                builder,
                stream,
                window_bytes=self._rules.stream_window_bytes,
                on_delivery=self._on_max_stream_data_delivery,
            )

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        limit = self._local_max_data
        window_bytes = self._rules.connection_window_bytes
        if (limit.used + window_bytes - limit.value) * 2 >= window_bytes:
            # What arrived and waits for a missing piece is not read yet.
            read = limit.used - sum(
                stream.receiver.highest_offset - stream.receiver.starting_offset()
                for stream in self._streams.values()
                if not stream.receiver.is_finished
            )
            limit.value = max(limit.value, read + window_bytes)
        if limit.sent != limit.value:
            self._write_limit(builder, limit)
        for streams in (self._local_max_streams_bidi, self._local_max_streams_uni):
            if self._owes_streams(streams):
                self._write_limit(builder, streams)

    def _owes_streams(self, streams: Limit) -> bool:
        """Fewer are left to the client than closed ones would give it."""
        streams.value = min(streams.value, self._rules.max_streams_ever)
        return bool(streams.value != streams.sent and streams.sent - streams.used < streams.value - streams.sent)

    def _write_limit(self, builder: QuicPacketBuilder, limit: Limit) -> None:
        frame = builder.start_frame(
            limit.frame_type,
            capacity=CONNECTION_LIMIT_FRAME_CAPACITY,
            handler=self._on_connection_limit_delivery,
            handler_args=(limit,),
        )
        frame.push_uint_var(limit.value)
        limit.sent = limit.value

    # Bounds on what a client may make us keep

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        at = buf.tell()
        stream_id = buf.pull_uint_var()
        buf.seek(at)
        super()._handle_stream_frame(context, frame_type, buf)
        stream = self._streams.get(stream_id)
        if stream is not None and len(stream.receiver._ranges) > MAX_PIECES:
            raise QuicConnectionError(
                error_code=QuicErrorCode.INTERNAL_ERROR,
                frame_type=frame_type,
                reason_phrase="Too many pieces with gaps between them",
            )

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        at = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(at)
        pieces = self._crypto_streams[context.epoch].receiver._ranges
        if end > MAX_CRYPTO_BYTES or len(pieces) > MAX_CRYPTO_PIECES:
            raise QuicConnectionError(
                error_code=QuicErrorCode.CRYPTO_BUFFER_EXCEEDED,
                frame_type=frame_type,
                reason_phrase="Too much of handshake messages",
            )
        super()._handle_crypto_frame(context, frame_type, buf)

    def _handle_new_connection_id_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        if len(self._peer_cid_sequence_numbers) > MAX_PEER_IDS_EVER:
            raise QuicConnectionError(
                error_code=QuicErrorCode.CONNECTION_ID_LIMIT_ERROR,
                frame_type=frame_type,
                reason_phrase="Too many connection IDs",
            )
        try:
            super()._handle_new_connection_id_frame(context, frame_type, buf)
        except IndexError:  # aioquic takes the next id where the client has retired its last one
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="No connection ID is left",
            ) from None

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        in_flight_bytes = self._loss.bytes_in_flight
        super()._handle_ack_frame(context, frame_type, buf)
        if self._loss.bytes_in_flight < in_flight_bytes:
            self.has_news_of_sent = True
