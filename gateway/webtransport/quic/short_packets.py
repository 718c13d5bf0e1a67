"""The short way of what nearly every packet of an established connection is; all else goes aioquic's general way.

A message of audio is three packets with one STREAM frame each, in order, on one path, to one connection id; it is
answered by one packet with an ACK and now and then some text. aioquic handles each of them as if it could be anything.

Rules that must stay true:
- Whatever is out of the ordinary is left to aioquic before anything was changed.
- `_is_settled` says that nothing but an acknowledgement can be due. Whatever changes what is to be sent unsays it.
- An acknowledgement waits for company, but not where something is missing: the client's repair depends on it
  (RFC 9000 §13.2.1).

The private parts of aioquic that are used here are pinned by test_short_packets.py.
"""

from __future__ import annotations

from contextlib import suppress
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
from aioquic.quic.packet import NON_ACK_ELICITING_FRAME_TYPES, QuicErrorCode, QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.recovery import MAX_ACK_RANGES
from aioquic.quic.stream import QuicStream, StreamFinishedError
from cryptography.exceptions import InvalidTag

from gateway.webtransport.quic.server_connection import ServerConnection

if TYPE_CHECKING:
    from aioquic.quic.recovery import QuicPacketSpace

    from gateway.webtransport.quic.addresses import Address

_FORM_BITS, _SHORT_FORM = 0xC0, 0x40
_RESERVED_BITS = 0x18
_KEY_PHASE_BIT = 0x04
_SAMPLE_BYTES = 16
_PACKET_NUMBER_BYTES = 2
_TAG_BYTES = 16
_NONCE_BYTES = 12
_STREAM_OVERHEAD_BYTES = 1 + 8 + 8 + 2
_ACK_BYTES = 1 + 3 * 8 + 1
_EARLY_PACKETS, _EARLY_ACK_EVERY, _ACK_EVERY = 100, 2, 10
"""An acknowledgement at the latest for so many packets: for few while a client's window still grows."""


class ShortPacketConnection(ServerConnection):
    """Says and does what ServerConnection does, for about half of the cost."""

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

    # Receiving

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        paths = self._network_paths
        at = 1 + len(self.host_cid)
        if (
            self._one_rtt is None
            or self._state is not QuicConnectionState.CONNECTED
            or self._close_pending
            or data[0] & _FORM_BITS != _SHORT_FORM
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
        sample = data[at + 4 : at + 4 + _SAMPLE_BYTES]
        if len(sample) < _SAMPLE_BYTES:
            return False
        mask = keys.hp._mask(sample)
        first = data[0] ^ mask[0] & 0x1F
        if bool(first & _KEY_PHASE_BIT) is not bool(keys.key_phase) or first & _RESERVED_BITS:
            return False
        number_bytes = (first & 0x03) + 1
        end_of_header = at + number_bytes
        truncated = int.from_bytes(data[at:end_of_header], "big") ^ int.from_bytes(mask[1 : 1 + number_bytes], "big")
        header = b"".join((bytes((first,)), data[1:at], truncated.to_bytes(number_bytes, "big")))
        number = _packet_number(truncated, number_bytes * 8, space.expected_packet_number)
        try:
            payload = keys.aead._aead.decrypt(
                (keys.aead._iv ^ number).to_bytes(_NONCE_BYTES, "big"), data[end_of_header:], header
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
        while at < end:
            kind = payload[at]
            if 0x08 <= kind <= 0x0F:
                following = self._receive_stream_data(payload, at, kind)
                is_ack_eliciting = True
            elif kind == 0x00:
                at += 1
                continue
            elif 0x30 <= kind <= 0x31:
                following = self._receive_datagram_frame(payload, at, kind)
                is_ack_eliciting = True
            else:
                following = 0
            if not following:
                following = self._receive_other(payload, at, now)
                is_ack_eliciting = is_ack_eliciting or kind not in NON_ACK_ELICITING_FRAME_TYPES
                if self._close_pending or self._state in END_STATES:
                    return is_ack_eliciting
            at = following
        return is_ack_eliciting

    def _receive_stream_data(self, payload: bytes, at: int, kind: int) -> int:
        """The place after the frame; 0: it is not the next piece of a stream that goes on."""
        stream_id, at = _varint(payload, at + 1)
        offset = 0
        if kind & 0x04:
            offset, at = _varint(payload, at)
        if kind & 0x02:
            length, at = _varint(payload, at)
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
            length, at = _varint(payload, at)
            following = at + length
            if following > len(payload):
                raise IndexError
        self._events.append(DatagramFrameReceived(data=payload[at:following]))
        return following

    def _receive_other(self, payload: bytes, at: int, now: float) -> int:
        self._is_settled = False
        buffer = Buffer(data=payload)
        buffer.seek(at)
        kind = buffer.pull_uint_var()
        handler, epochs = self._QuicConnection__frame_handlers.get(kind, (None, ()))  # type: ignore[attr-defined]
        if handler is None or tls.Epoch.ONE_RTT not in epochs:
            raise QuicConnectionError(
                error_code=QuicErrorCode.FRAME_ENCODING_ERROR if handler is None else QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=kind,
                reason_phrase="Unexpected frame type",
            )
        context = QuicReceiveContext(
            epoch=tls.Epoch.ONE_RTT,
            host_cid=self.host_cid,
            network_path=self._network_paths[0],
            quic_logger_frames=None,
            time=now,
            version=None,
        )
        with suppress(StreamFinishedError):  # raised once the frame was read whole
            handler(context, kind, buffer)
        return buffer.tell()

    # Sending

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
            or len(paths) != 1
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
        if len(space.ack_queue) != 1:
            return self._sent_generally(now)
        return self._sent(self._acknowledgement(space, now), [self._ack_delivery(space)], now, is_in_flight=False)

    def _sent_generally(self, now: float) -> list[tuple[bytes, Address]]:
        self._is_settled = False
        made: list[tuple[bytes, Address]] = super().datagrams_to_send(now)
        self._idle_s = self._idle_timeout()  # three times the probe timeout at least, which goes with the path
        self._has_unsent_ids = not all(known.was_sent for known in self._host_cids)
        if self._space is not None and self._space.ack_at is None:
            self._unacknowledged = 0
        return made

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
        parts += (bytes((kind,)), _encoded(stream.stream_id or 0))
        if frame.offset:
            parts.append(_encoded(frame.offset))
        parts += ((len(frame.data) | 0x4000).to_bytes(2, "big"), frame.data)
        handlers.append((sender.on_data_delivery, (frame.offset, frame.offset + len(frame.data), frame.fin)))
        self._remote_max_data_used += sender.highest_offset - before
        loss._pacer.update_after_send(now=now)
        return self._sent(b"".join(parts), handlers, now, is_in_flight=True)

    def _ack_delivery(self, space: QuicPacketSpace) -> Any:
        return (self._on_ack_delivery, (space, space.largest_received_packet))

    def _has_connection_limits_to_say(self) -> bool:
        limit, window_bytes = self._local_max_data, self._rules.connection_window_bytes
        return (
            limit.sent != limit.value
            or (limit.used + window_bytes - limit.value) * 2 >= window_bytes
            or any(
                streams.value != streams.sent and streams.sent - streams.used < streams.value - streams.sent
                for streams in (self._local_max_streams_bidi, self._local_max_streams_uni)
            )
        )

    def _has_limit_to_say(self, stream: QuicStream) -> bool:
        limit: int = stream.max_stream_data_local
        if not limit or stream.stream_id in self._paused:
            return False
        window_bytes = self._rules.stream_window_bytes
        used_bytes = stream.receiver._buffer_start + window_bytes - limit
        return stream.max_stream_data_local_sent != limit or used_bytes * 2 >= window_bytes

    def _acknowledgement(self, space: QuicPacketSpace, now: float) -> bytes:
        """An ACK frame of the one range that there is."""
        received = space.ack_queue[0]
        delay_us = max(0, int((now - (space.largest_received_time or now)) * 1_000_000))
        space.ack_at = None
        self._unacknowledged = 0
        return b"".join(
            (
                b"\x02",
                _encoded(received.stop - 1),
                _encoded(delay_us >> self._local_ack_delay_exponent),
                b"\x00",
                _encoded(received.stop - 1 - received.start),
            )
        )

    def _sent(
        self, payload: bytes, handlers: list[Any], now: float, *, is_in_flight: bool
    ) -> list[tuple[bytes, Address]]:
        keys, space = self._one_rtt.send, self._space
        assert space is not None
        number = self._packet_number
        first = _SHORT_FORM | keys.key_phase << 2 | _PACKET_NUMBER_BYTES - 1
        truncated = number & 0xFFFF
        peer_id = self._peer_cid.cid
        header = b"".join((bytes((first,)), peer_id, truncated.to_bytes(_PACKET_NUMBER_BYTES, "big")))
        sealed = keys.aead._aead.encrypt((keys.aead._iv ^ number).to_bytes(_NONCE_BYTES, "big"), payload, header)
        mask = keys.hp._mask(sealed[4 - _PACKET_NUMBER_BYTES : 4 - _PACKET_NUMBER_BYTES + _SAMPLE_BYTES])
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


def _packet_number(truncated: int, bits: int, expected: int) -> int:
    """RFC 9000 §A.3."""
    window = 1 << bits
    candidate = expected & ~(window - 1) | truncated
    if candidate <= expected - window // 2 and candidate < (1 << 62) - window:
        return candidate + window
    if candidate > expected + window // 2 and candidate >= window:
        return candidate - window
    return candidate


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """The number and the place after it (RFC 9000 §16). Raises IndexError where it ends too early."""
    first = payload[at]
    if first < 0x40:
        return first, at + 1
    if first < 0x80:
        return (first & 0x3F) << 8 | payload[at + 1], at + 2
    size = 1 << (first >> 6)
    end = at + size
    if end > len(payload):
        raise IndexError
    return int.from_bytes(payload[at:end], "big") & (1 << size * 8 - 2) - 1, end


def _encoded(number: int) -> bytes:
    if number < 0x40:
        return bytes((number,))
    if number < 0x4000:
        return (number | 0x4000).to_bytes(2, "big")
    if number < 0x40000000:
        return (number | 0x80000000).to_bytes(4, "big")
    return (number | 0xC000000000000000).to_bytes(8, "big")
