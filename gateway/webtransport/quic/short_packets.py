"""The short way out: acknowledgements and small data of an established connection; all else is left to aioquic.

A message of audio is answered by one packet with an acknowledgement, and now and then some text. aioquic looks for
everything that could be said, twice a packet.

Rules that must stay true:
- Whatever is out of the ordinary is left to aioquic before anything was changed.
- `_is_settled` says that nothing but an acknowledgement can be due. Whatever changes what is to be sent unsays it.

The private parts of aioquic that are used here are pinned by test_server_connection.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet import QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket

from gateway.webtransport.quic.short_numbers import encoded
from gateway.webtransport.quic.short_receiving import NONCE_BYTES, SAMPLE_BYTES, SHORT_FORM, ShortReceiving

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicNetworkPath
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from gateway.webtransport.quic.addresses import Address

_PACKET_NUMBER_BYTES = 2
_TAG_BYTES = 16
_STREAM_OVERHEAD_BYTES = 1 + 8 + 8 + 2
_ACK_BYTES = 1 + 3 * 8 + 1
PACKETS_A_KEY = 1 << 22
"""Half of what may be sealed with one key (RFC 9001 §6.6)."""
KEPT_ACKNOWLEDGEMENTS = 128
"""Sent in packets of their own. A client acknowledges those only together with something else, which may never come."""


class ShortPacketConnection(ShortReceiving):
    """Says and does what ServerConnection does, for less than half of the cost."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._keys_until = PACKETS_A_KEY
        self._tidy_above = 2 * KEPT_ACKNOWLEDGEMENTS

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        space = self._space
        if self._is_settled and space is not None and not self._close_pending:
            if space.ack_at is None or space.ack_at > now:
                return []
            return self._sent_acknowledgement(space, now)
        if space is None or not self._is_ordinary():
            return self._sent_generally(now)
        self._pacing_at = None
        sender: QuicStream | None = None
        window_bytes = self._rules.stream_window_bytes
        for stream in self._streams_queue:
            receiver, source = stream.receiver, stream.sender
            if receiver.is_finished:
                if source.is_finished:
                    return self._sent_generally(now)
            elif (
                stream.max_stream_data_local
                and (
                    (receiver._buffer_start + window_bytes - stream.max_stream_data_local) * 2 >= window_bytes
                    or stream.max_stream_data_local_sent != stream.max_stream_data_local
                )
                and stream.stream_id not in self._paused
            ):
                return self._sent_generally(now)
            if receiver.stop_pending or source.reset_pending:
                return self._sent_generally(now)
            if not source.buffer_is_empty and not stream.is_blocked:
                if sender is not None:
                    return self._sent_generally(now)
                sender = stream
        if sender is not None:
            return self._sent_with_data(sender, space, now)
        self._is_settled = True
        if space.ack_at is None or space.ack_at > now:
            return []
        return self._sent_acknowledgement(space, now)

    def _is_ordinary(self) -> bool:
        """Nothing waits to be sent but acknowledgements and data of streams."""
        paths = self._network_paths
        limit = self._local_max_data
        window_bytes = self._rules.connection_window_bytes
        return not (
            self._close_pending
            or self._state is not QuicConnectionState.CONNECTED
            or (len(paths) > 1 and any(_has_to_be_probed(path) for path in paths[1:]))
            or not paths[0].is_validated
            or paths[0].remote_challenges
            or self._has_unsent_ids
            or self._handshake_done_pending
            or self._retire_connection_ids
            or self._streams_blocked_pending
            or self._ping_pending
            or self._probe_pending
            or self._datagrams_pending
            or self._one_rtt._update_key_requested
            or not self._late_crypto.buffer_is_empty
            or limit.sent != limit.value
            or (limit.used + window_bytes - limit.value) * 2 >= window_bytes
            or self._owes_streams(self._local_max_streams_bidi)
            or self._owes_streams(self._local_max_streams_uni)
        )

    def _sent_acknowledgement(self, space: QuicPacketSpace, now: float) -> list[tuple[bytes, Address]]:
        if (
            self._packet_number - space.largest_acked_packet > KEPT_ACKNOWLEDGEMENTS
            and not space.ack_eliciting_in_flight
        ):
            self._probe_pending = True  # a PING: what the client has of us must be known (RFC 9000 §13.2.4, §17.1)
            return self._sent_generally(now)
        if len(space.ack_queue) != 1:
            return self._sent_generally(now)
        return self._sent(self._acknowledgement(space, now), [self._ack_delivery(space)], now, is_in_flight=False)

    def _sent_generally(self, now: float) -> list[tuple[bytes, Address]]:
        self._is_settled = False
        made: list[tuple[bytes, Address]] = super().datagrams_to_send(now)
        self._idle_s = self._idle_timeout()  # three times the probe timeout at least, which goes with the path
        self._has_unsent_ids = not all(known.was_sent for known in self._host_cids)
        if self._space is not None:
            if self._space.ack_at is None:
                self._unacknowledged = 0
            self._tidy(self._space)
        return made

    def _tidy(self, space: QuicPacketSpace) -> None:
        """Forget acknowledgements that were sent long ago, and ask for new keys before the old ones wear out."""
        if self._packet_number >= self._keys_until:
            self._keys_until = self._packet_number + PACKETS_A_KEY
            self.request_key_update()
        sent = space.sent_packets
        if len(sent) > self._tidy_above:
            alone = [number for number, packet in sent.items() if not packet.in_flight]
            for number in alone[:-KEPT_ACKNOWLEDGEMENTS]:
                del sent[number]
            self._tidy_above = len(sent) + KEPT_ACKNOWLEDGEMENTS

    def _sent_with_data(self, stream: QuicStream, space: QuicPacketSpace, now: float) -> list[tuple[bytes, Address]]:
        sender = stream.sender
        pending = sender._pending
        loss = self._loss
        room_bytes = self._max_datagram_size - 1 - len(self._peer_cid.cid) - _PACKET_NUMBER_BYTES - _TAG_BYTES
        room_bytes -= _ACK_BYTES + _STREAM_OVERHEAD_BYTES
        if (
            len(pending) != 1
            or pending[0].stop - pending[0].start > room_bytes
            or len(space.ack_queue) > 1
            or loss.congestion_window - loss.bytes_in_flight < self._max_datagram_size
            or loss._pacer.next_send_time(now=now) is not None
        ):
            return self._sent_generally(now)
        before = sender.highest_offset
        stop = pending[0].stop
        may_reach = min(before + self._remote_max_data - self._remote_max_data_used, stream.max_stream_data_remote)
        if stop > may_reach:
            return self._sent_generally(now)
        frame = sender.get_frame(room_bytes, may_reach)
        if frame is None:
            return self._sent_generally(now)
        if not sender._pending_eof:
            sender.buffer_is_empty = True
        parts: list[bytes] = []
        handlers: list[Any] = []
        if space.ack_at is not None:
            handlers.append(self._ack_delivery(space))
            parts.append(self._acknowledgement(space, now))
        kind = QuicFrameType.STREAM_BASE | 0x02 | (0x04 if frame.offset else 0) | (0x01 if frame.fin else 0)
        parts += (bytes((kind,)), encoded(stream.stream_id or 0))
        if frame.offset:
            parts.append(encoded(frame.offset))
        parts += ((len(frame.data) | 0x4000).to_bytes(2, "big"), frame.data)
        handlers.append((sender.on_data_delivery, (frame.offset, frame.offset + len(frame.data), frame.fin)))
        self._remote_max_data_used += sender.highest_offset - before
        loss._pacer.update_after_send(now=now)
        return self._sent(b"".join(parts), handlers, now, is_in_flight=True)

    def _ack_delivery(self, space: QuicPacketSpace) -> Any:
        return (self._on_ack_delivery, (space, space.largest_received_packet))

    def _acknowledgement(self, space: QuicPacketSpace, now: float) -> bytes:
        """An ACK frame of the one range that there is."""
        received = space.ack_queue[0]
        delay_us = max(0, int((now - (space.largest_received_time or now)) * 1_000_000))
        space.ack_at = None
        self._unacknowledged = 0
        return b"".join(
            (
                b"\x02",
                encoded(received.stop - 1),
                encoded(delay_us >> self._local_ack_delay_exponent),
                b"\x00",
                encoded(received.stop - 1 - received.start),
            )
        )

    def _sent(
        self, payload: bytes, handlers: list[Any], now: float, *, is_in_flight: bool
    ) -> list[tuple[bytes, Address]]:
        keys, space = self._one_rtt.send, self._space
        assert space is not None
        number = self._packet_number
        first = SHORT_FORM | keys.key_phase << 2 | _PACKET_NUMBER_BYTES - 1
        truncated = number & 0xFFFF
        peer_id = self._peer_cid.cid
        header = b"".join((bytes((first,)), peer_id, truncated.to_bytes(_PACKET_NUMBER_BYTES, "big")))
        sealed = keys.aead._aead.encrypt((keys.aead._iv ^ number).to_bytes(NONCE_BYTES, "big"), payload, header)
        mask = keys.hp._mask(sealed[4 - _PACKET_NUMBER_BYTES : 4 - _PACKET_NUMBER_BYTES + SAMPLE_BYTES])
        masked = truncated ^ mask[1] << 8 ^ mask[2]
        datagram = b"".join(
            (bytes((first ^ mask[0] & 0x1F,)), peer_id, masked.to_bytes(_PACKET_NUMBER_BYTES, "big"), sealed)
        )
        packet = QuicSentPacket(
            epoch=tls.Epoch.ONE_RTT,
            in_flight=is_in_flight,
            is_ack_eliciting=is_in_flight,
            is_crypto_packet=False,
            packet_number=number,
            packet_type=QuicPacketType.ONE_RTT,
            sent_time=now,
            sent_bytes=len(datagram),
            delivery_handlers=handlers,
        )
        self._loss.on_packet_sent(packet=packet, space=space)
        self._packet_number = number + 1
        if is_in_flight and not self._ack_eliciting_sent_since_receipt:
            self._idle_s = self._idle_timeout()
            self._close_at = now + self._idle_s
            self._ack_eliciting_sent_since_receipt = True
        self._tidy(space)
        path = self._network_paths[0]
        path.bytes_sent += len(datagram)
        return [(datagram, path.addr)]

    def _replenish_connection_ids(self) -> None:
        self._has_unsent_ids = True
        super()._replenish_connection_ids()

    def _on_new_connection_id_delivery(self, delivery: Any, connection_id: Any) -> None:
        self._has_unsent_ids = True
        super()._on_new_connection_id_delivery(delivery, connection_id)

    # What unsettles

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        self._is_settled = False
        super().send_stream_data(stream_id, data, end_stream)

    def send_datagram_frame(self, data: bytes) -> None:
        self._is_settled = False
        super().send_datagram_frame(data)

    def send_ping(self, uid: int) -> None:
        self._is_settled = False
        super().send_ping(uid)

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        self._is_settled = False
        super().reset_stream(stream_id, error_code)

    def stop_stream(self, stream_id: int, error_code: int) -> None:
        self._is_settled = False
        super().stop_stream(stream_id, error_code)

    def resume_stream(self, stream_id: int) -> None:
        self._is_settled = False
        super().resume_stream(stream_id)

    def change_connection_id(self) -> None:
        self._is_settled = False
        super().change_connection_id()

    def request_key_update(self) -> None:
        self._is_settled = False
        super().request_key_update()

    def handle_timer(self, now: float) -> None:
        self._is_settled = self._is_settled and (self._loss_at is None or now < self._loss_at)
        super().handle_timer(now)

    # Time

    def get_timer(self) -> float | None:
        space = self._space
        paths = self._network_paths
        if space is None or self._state is not QuicConnectionState.CONNECTED or not paths[0].is_validated:
            return super().get_timer()
        at: float | None = self._close_at
        if at is None:
            return None
        if space.ack_at is not None and space.ack_at < at:
            at = space.ack_at
        loss_at = space.loss_time
        if loss_at is None and space.ack_eliciting_in_flight:
            loss = self._loss
            loss_at = loss._time_of_last_sent_ack_eliciting_packet + loss.get_probe_timeout() * 2**loss._pto_count
        self._loss_at = loss_at
        if loss_at is not None and loss_at < at:
            at = loss_at
        if self._pacing_at is not None and self._pacing_at < at:
            at = self._pacing_at
        return at


def _has_to_be_probed(path: QuicNetworkPath) -> bool:
    """Another path of the client, such as the one from which it moved away, wants something to be sent."""
    return bool(path.remote_challenges) or not (path.is_validated or path.local_challenge_sent)
