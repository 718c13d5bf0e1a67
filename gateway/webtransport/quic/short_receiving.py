"""The short way in: packets of an established connection as nearly all of them are; all else is left to aioquic.

A message of audio is three packets with one STREAM frame each, in order, on one path, to one connection id. aioquic
handles each of them as if it could be anything.

Rules that must stay true:
- Whatever is out of the ordinary is left to aioquic before anything was changed.
- An acknowledgement waits for company, but not where something is missing: the client's repair depends on it
  (RFC 9000 §13.2.1).

The private parts of aioquic that are used here are pinned by test_server_connection.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic._buffer import Buffer, BufferReadError
from aioquic.quic.connection import (
    END_STATES,
    QuicConnectionError,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.events import DatagramFrameReceived, StreamDataReceived
from aioquic.quic.packet import NON_ACK_ELICITING_FRAME_TYPES, QuicErrorCode, QuicFrameType
from aioquic.quic.recovery import MAX_ACK_RANGES
from aioquic.quic.stream import StreamFinishedError
from cryptography.exceptions import InvalidTag

from gateway.webtransport.quic.server_connection import ServerConnection
from gateway.webtransport.quic.short_numbers import packet_number, varint

if TYPE_CHECKING:
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from gateway.webtransport.quic.addresses import Address

SHORT_FORM = 0x40
SAMPLE_BYTES = 16
NONCE_BYTES = 12
_FORM_BITS = 0xC0
_RESERVED_BITS = 0x18
_KEY_PHASE_BIT = 0x04
_EARLY_PACKETS, _EARLY_ACK_EVERY, _ACK_EVERY = 100, 2, 10
"""An acknowledgement at the latest for so many packets: for few while a client's window still grows."""


class ShortReceiving(ServerConnection):
    """Receives what ServerConnection receives, for less than half of the cost.

    `_is_settled` says that nothing but an acknowledgement can be due. Whatever changes what is to be sent unsays it.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._one_rtt: Any = None  # a CryptoPair, once the handshake is confirmed
        self._space: QuicPacketSpace | None = None
        self._idle_s = 0.0
        self._unacknowledged = 0
        self._has_unsent_ids = True
        self._is_settled = False

    def _confirm_handshake(self) -> None:
        super()._confirm_handshake()
        self._one_rtt = self._cryptos[tls.Epoch.ONE_RTT]
        self._space = self._spaces[tls.Epoch.ONE_RTT]
        self._late_crypto = self._crypto_streams[tls.Epoch.ONE_RTT].sender
        self._idle_s = self._idle_timeout()

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        paths = self._network_paths
        at = 1 + len(self.host_cid)
        if (
            self._one_rtt is None
            or self._state is not QuicConnectionState.CONNECTED
            or self._close_pending
            or data[0] & _FORM_BITS != SHORT_FORM
            or data[1:at] != self.host_cid
            or paths[0].addr != addr
            or not paths[0].is_validated
            or not self._receive_short(data, at, now)
        ):
            self._is_settled = False
            super().receive_datagram(data, addr, now)

    def _receive_short(self, data: bytes, at: int, now: float) -> bool:
        """False: nothing was done; it is one for aioquic."""
        keys, space = self._one_rtt.recv, self._space
        assert space is not None
        sample = data[at + 4 : at + 4 + SAMPLE_BYTES]
        if len(sample) < SAMPLE_BYTES:
            return False
        mask = keys.hp._mask(sample)
        first = data[0] ^ mask[0] & 0x1F
        if bool(first & _KEY_PHASE_BIT) is not bool(keys.key_phase) or first & _RESERVED_BITS:
            return False
        number_bytes = (first & 0x03) + 1
        end_of_header = at + number_bytes
        truncated = int.from_bytes(data[at:end_of_header], "big") ^ int.from_bytes(mask[1 : 1 + number_bytes], "big")
        header = b"".join((bytes((first,)), data[1:at], truncated.to_bytes(number_bytes, "big")))
        number = packet_number(truncated, number_bytes * 8, space.expected_packet_number)
        try:
            payload = keys.aead._aead.decrypt(
                (keys.aead._iv ^ number).to_bytes(NONCE_BYTES, "big"), data[end_of_header:], header
            )
        except InvalidTag:
            return True  # not of this client
        if not payload:
            return False
        is_next = number == space.largest_received_packet + 1
        if is_next or number not in space.received_packets:
            self._receive_payload(payload, number, now, is_next=is_next)
        return True

    def _receive_payload(self, payload: bytes, number: int, now: float, *, is_next: bool) -> None:
        space = self._space
        assert space is not None
        if number > space.expected_packet_number:
            space.expected_packet_number = number + 1
        try:
            is_ack_eliciting = self._receive_frames(payload, now)
        except QuicConnectionError as error:
            self.close(error_code=error.error_code, frame_type=error.frame_type, reason_phrase=error.reason_phrase)
        except (IndexError, BufferReadError):
            self.close(
                error_code=QuicErrorCode.FRAME_ENCODING_ERROR,
                frame_type=QuicFrameType.PADDING,
                reason_phrase="Failed to parse frame",
            )
        if self._close_pending or self._state in END_STATES:
            return
        self._close_at = now + self._idle_s
        self._ack_eliciting_sent_since_receipt = False
        if number > space.largest_received_packet:
            space.largest_received_packet = number
            space.largest_received_time = now
        ranges = space.ack_queue._RangeSet__ranges  # type: ignore[attr-defined]
        if ranges and ranges[-1].stop == number:
            ranges[-1] = range(ranges[-1].start, number + 1)
        else:
            space.ack_queue.add(number)
            if len(ranges) > MAX_ACK_RANGES:
                space.ack_queue.shift()
        space.received_packets.add(number)
        if is_ack_eliciting:
            self._unacknowledged += 1
            if not is_next or self._unacknowledged >= (_EARLY_ACK_EVERY if number < _EARLY_PACKETS else _ACK_EVERY):
                space.ack_at = now
            elif space.ack_at is None:
                space.ack_at = now + self._ack_delay

    def _receive_frames(self, payload: bytes, now: float) -> bool:
        """True: the packet asks for an acknowledgement. Raises IndexError where a frame ends too early."""
        at, end = 0, len(payload)
        is_ack_eliciting = False
        others: tuple[Buffer, QuicReceiveContext] | None = None
        while at < end:
            kind = payload[at]
            if 0x08 <= kind <= 0x0F:
                following = self._receive_stream_data(payload, at, kind)
                is_ack_eliciting = True
            elif kind == 0x00:
                at = end - len(payload[at:].lstrip(b"\0"))
                continue
            elif kind == 0x01:
                at += 1
                is_ack_eliciting = True
                continue
            elif 0x30 <= kind <= 0x31:
                following = self._receive_datagram_frame(payload, at, kind)
                is_ack_eliciting = True
            else:
                following = 0
            if not following:
                if others is None:
                    others = Buffer(data=payload), self._context(now)
                following = self._receive_other(*others, at)
                is_ack_eliciting = is_ack_eliciting or kind not in NON_ACK_ELICITING_FRAME_TYPES
                if self._close_pending or self._state is not QuicConnectionState.CONNECTED:
                    return is_ack_eliciting
            at = following
        return is_ack_eliciting

    def _receive_stream_data(self, payload: bytes, at: int, kind: int) -> int:
        """The place after the frame; 0: it is not the next piece of a stream that goes on."""
        stream_id, at = varint(payload, at + 1)
        offset = 0
        if kind & 0x04:
            offset, at = varint(payload, at)
        if kind & 0x02:
            length, at = varint(payload, at)
            following = at + length
            if following > len(payload):
                raise IndexError
        else:
            following = len(payload)
            length = following - at
        stream: QuicStream | None = self._streams.get(stream_id)
        if stream is None or not length:
            return 0
        receiver, end = stream.receiver, offset + length
        if (
            receiver._buffer_start != offset
            or receiver._buffer
            or receiver._final_size is not None
            or receiver.is_finished
            or end > stream.max_stream_data_local
            or self._local_max_data.used + length > self._local_max_data.value
        ):
            return 0
        is_end = bool(kind & 0x01)
        receiver.highest_offset = receiver._buffer_start = end
        if is_end:
            receiver._final_size = end
            receiver.is_finished = True
            self._is_settled = False  # the stream may be over, and another may take its place
        limit = self._local_max_data
        limit.used += length
        rules = self._rules
        if (end + rules.stream_window_bytes - stream.max_stream_data_local) * 2 >= rules.stream_window_bytes or (
            limit.used + rules.connection_window_bytes - limit.value
        ) * 2 >= rules.connection_window_bytes:
            self._is_settled = False
        events = self._events
        if events and type(last := events[-1]) is StreamDataReceived and last.stream_id == stream_id:
            last.data += payload[at:following]
            last.end_stream = is_end
        else:
            events.append(StreamDataReceived(data=payload[at:following], end_stream=is_end, stream_id=stream_id))
        return following

    def _receive_datagram_frame(self, payload: bytes, at: int, kind: int) -> int:
        at += 1
        following = len(payload)
        if kind & 0x01:
            length, at = varint(payload, at)
            following = at + length
            if following > len(payload):
                raise IndexError
        self._events.append(DatagramFrameReceived(data=payload[at:following]))
        return following

    def _context(self, now: float) -> QuicReceiveContext:
        return QuicReceiveContext(
            epoch=tls.Epoch.ONE_RTT,
            host_cid=self.host_cid,
            network_path=self._network_paths[0],
            quic_logger_frames=None,
            time=now,
            version=None,
        )

    def _receive_other(self, buffer: Buffer, context: QuicReceiveContext, at: int) -> int:
        """The place after the frame, which is left to aioquic."""
        self._is_settled = False
        buffer.seek(at)
        kind = buffer.pull_uint_var()
        handler, epochs = self._QuicConnection__frame_handlers.get(kind, (None, ()))  # type: ignore[attr-defined]
        if handler is None or tls.Epoch.ONE_RTT not in epochs:
            raise QuicConnectionError(
                error_code=QuicErrorCode.FRAME_ENCODING_ERROR if handler is None else QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=kind,
                reason_phrase="Unexpected frame type",
            )
        try:
            handler(context, kind, buffer)
        except StreamFinishedError:
            return buffer.tell()  # raised once the frame was read whole
        return buffer.tell()
