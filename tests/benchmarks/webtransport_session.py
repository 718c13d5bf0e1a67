"""A WebTransport client that costs as little as can be, so that the edge process and not the load fills a core.

It opens its session with aioquic. Then it takes the connection over: packets of audio are written by hand with the same
keys, and of what comes only what matters is read. Packets that the server says it has not got are sent again, and its
own acknowledgements go within 25 ms, with the next audio where that comes sooner, as browsers do.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aioquic._buffer import Buffer, BufferReadError
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, StreamDataReceived
from aioquic.quic.packet import decode_packet_number, pull_ack_frame, push_ack_frame
from aioquic.quic.rangeset import RangeSet
from aioquic.tls import Epoch
from cryptography.exceptions import InvalidTag

from gateway.wire import audio_datagrams, stream_messages
from gateway.wire.codec import encode_client
from gateway.wire.messages import Finish, Start
from tests.benchmarks.pacing import MESSAGES_PER_BLOCK
from tests.benchmarks.websocket_session import AUDIO_BYTES, SessionBroken

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]

ACK_WITHIN_S = 0.025
_RESEND_AFTER_S = 1.0
_SWEEP_S = 0.005
_OPEN_TIMEOUT_S = 20.0
_PACKET_BYTES = 1_252
_STREAM_BYTES = 1_200
"""Of a packet: what browsers put in one, too."""
_DATAGRAM_SAMPLES = 534
"""Three datagrams for 100 ms."""
_BYTES_PER_SAMPLE = 2
_QUEUE_BYTES = 256 * 1024
_ACK_RANGES = 8
_AUDIO = (1_000).to_bytes(2, "little") * (AUDIO_BYTES // _BYTES_PER_SAMPLE)
_MESSAGE = stream_messages.encode(stream_messages.AUDIO, _AUDIO)
_FINISH = stream_messages.encode(stream_messages.TEXT, encode_client(Finish()).encode())
_PIECES = [_MESSAGE[at : at + _STREAM_BYTES] for at in range(0, len(_MESSAGE), _STREAM_BYTES)]
_STREAM_FRAME, _DATAGRAM_FRAME, _CLOSE_FRAME = b"\x0e", b"\x31", b"\x1d\x00\x00"
_ACK_ONLY = 0x02
_NOT_ELICITING = frozenset({0x00, 0x02, 0x03, 0x1C, 0x1D})


class Keeper:
    """One timer for the acknowledgements and repetitions of all sessions of a process."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, WebTransportLoadSession]] = deque()
        self._sessions: list[WebTransportLoadSession] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, sessions: list[WebTransportLoadSession]) -> None:
        self._sessions = sessions
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def acknowledge_later(self, session: WebTransportLoadSession) -> None:
        self._due.append((time.monotonic() + ACK_WITHIN_S, session))

    async def _run(self) -> None:
        sweeps = 0
        while True:
            await asyncio.sleep(_SWEEP_S)
            now_s = time.monotonic()
            while self._due and self._due[0][0] <= now_s:
                self._due.popleft()[1].acknowledge()
            sweeps += 1
            if sweeps % 10 == 0:
                for session in self._sessions:
                    session.repeat_what_is_old(now_s)


class WebTransportLoadSession:
    """One session. `on_result` gets the nanoseconds from the audio that completed a block to the partial for it."""

    def __init__(self, on_result: Callable[[int], None], keeper: Keeper, *, in_datagrams: bool) -> None:
        self._on_result = on_result
        self._keeper = keeper
        self._in_datagrams = in_datagrams
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sent = 0
        self._completed_block_at_ns = 0
        self._is_hand_written = False
        self.resent = 0
        self.broken = ""
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._finished: asyncio.Future[None] = self._loop.create_future()

    # --- the opening, by aioquic -----------------------------------------------------------------------

    async def open(self, address: Address, path: str, token: str | None) -> None:
        """Raises SessionBroken, OSError, TimeoutError."""
        self._address = address
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        self._socket.connect(address)
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            max_datagram_frame_size=65_536,
            max_datagram_size=_PACKET_BYTES,
            idle_timeout=60,
            verify_mode=ssl.CERT_NONE,
            server_name="localhost",
        )
        self._quic = QuicConnection(configuration=configuration)
        self._path, self._token = path, token
        self._http: H3Connection | None = None
        self._request_id = self._stream_id = -1
        self._text = b""
        self._loop.add_reader(self._socket, self._readable)
        self._quic.connect(address, now=self._loop.time())
        self._transmit()
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            while not self._started.done() or not self._is_quiet():
                await asyncio.sleep(_SWEEP_S)
                self._turn()
            await self._started
        self._take_over()

    def _is_quiet(self) -> bool:
        """Nothing on its way in either direction, so that the connection can change hands."""
        space: Any = self._quic._spaces[Epoch.ONE_RTT]
        return space.ack_eliciting_in_flight == 0 and space.ack_at is None and not self._quic._datagrams_pending

    def _turn(self) -> None:
        timer = self._quic.get_timer()
        now_s = self._loop.time()
        if timer is not None and timer <= now_s:
            self._quic.handle_timer(now=now_s)
        self._transmit()

    def _transmit(self) -> None:
        for packet, _ in self._quic.datagrams_to_send(now=self._loop.time()):
            self._send_packet(packet)

    def _readable(self) -> None:
        try:
            packet = self._socket.recv(2_048)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(str(error))
            return
        if self._is_hand_written:
            self._take_packet(packet)
            return
        self._quic.receive_datagram(packet, self._address, now=self._loop.time())
        while (event := self._quic.next_event()) is not None:
            if isinstance(event, ProtocolNegotiated):
                self._ask()
            elif isinstance(event, ConnectionTerminated):
                self._break(event.reason_phrase or hex(event.error_code))
            if isinstance(event, StreamDataReceived) and event.stream_id == self._stream_id:
                self._take_text(event.data)
            elif self._http is not None:
                for http_event in self._http.handle_event(event):
                    self._answered(http_event)
        self._turn()

    def _ask(self) -> None:
        self._http = H3Connection(self._quic, enable_webtransport=True)
        self._request_id = self._quic.get_next_available_stream_id()
        host, port = self._address
        fields = [
            (b":method", b"CONNECT"),
            (b":protocol", b"webtransport"),
            (b":scheme", b"https"),
            (b":authority", f"{host}:{port}".encode()),
            (b":path", self._path.encode()),
            (b"sec-webtransport-http3-draft02", b"1"),
        ]
        if self._token is not None:
            fields.append((b"authorization", f"Bearer {self._token}".encode()))
        self._http.send_headers(self._request_id, fields)

    def _answered(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            status = dict(event.headers).get(b":status", b"").decode()
            if status != "200":
                self._break(f"status {status}")
                return
            assert self._http is not None
            self._stream_id = self._http.create_webtransport_stream(self._request_id)
            start = encode_client(Start()).encode()
            self._quic.send_stream_data(self._stream_id, stream_messages.encode(stream_messages.TEXT, start))

    # --- from here on by hand ---------------------------------------------------------------------------

    def _take_over(self) -> None:
        quic: Any = self._quic
        crypto = quic._cryptos[Epoch.ONE_RTT]
        space = quic._spaces[Epoch.ONE_RTT]
        stream = quic._streams[self._stream_id]
        self._sending, self._receiving = crypto.send, crypto.recv
        self._encrypt, self._decrypt = crypto.send.aead._aead.encrypt, crypto.recv.aead._aead.decrypt
        self._peer_id: bytes = quic._peer_cid.cid
        self._id_bytes = len(quic.host_cid)
        self._number: int = quic._packet_number
        self._expected: int = space.expected_packet_number
        self._got: RangeSet = space.ack_queue
        self._owes_ack = False
        self._offset: int = stream.sender._buffer_stop
        self._heard_to: int = stream.receiver.starting_offset()
        self._early: dict[int, bytes] = {}
        self._may_send_to: int = stream.max_stream_data_remote
        self._may_send_in_all: int = quic._remote_max_data - quic._remote_max_data_used + self._offset
        self._flying: dict[int, tuple[float, int, bytes]] = {}
        self._frame_head = _STREAM_FRAME + encode_uint_var(self._stream_id)
        self._quarter_id = encode_uint_var(self._request_id // 4)
        self._sequence = self._sample = 0
        self._is_hand_written = True

    def send_audio(self) -> None:
        self._sent += 1
        if self._sent % MESSAGES_PER_BLOCK == 0:
            self._completed_block_at_ns = time.perf_counter_ns()
        if self._in_datagrams:
            self._send_in_datagrams()
            return
        now_s = time.monotonic()
        for piece in _PIECES:
            if self._offset + len(piece) > min(self._may_send_to, self._may_send_in_all):
                self._break("the server gives no credit")
                return
            self._send_stream(self._offset, piece, now_s)
            self._offset += len(piece)

    async def finish(self) -> None:
        """Until the server has said that it is done. Raises SessionBroken, TimeoutError."""
        self._send_stream(self._offset, _FINISH, time.monotonic())
        self._offset += len(_FINISH)
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            await self._finished

    def _send_in_datagrams(self) -> None:
        step = _DATAGRAM_SAMPLES * _BYTES_PER_SAMPLE
        for at in range(0, AUDIO_BYTES, step):
            audio = _AUDIO[at : at + step]
            body = self._quarter_id + audio_datagrams.encode_datagram(self._sequence, self._sample, audio)
            self._sequence += 1
            self._sample += len(audio) // _BYTES_PER_SAMPLE
            self._write(_DATAGRAM_FRAME + encode_uint_var(len(body)) + body)

    def _send_stream(self, offset: int, piece: bytes, now_s: float) -> None:
        number = self._write(self._frame_head + encode_uint_var(offset) + encode_uint_var(len(piece)) + piece)
        self._flying[number] = (now_s, offset, piece)

    def _write(self, frames: bytes) -> int:
        """One packet. Source: RFC 9000 §17.3.1; the number in two bytes."""
        number = self._number
        self._number += 1
        if self._owes_ack:
            frames = self._ack_frame() + frames
        sending = self._sending
        number_sent = number & 0xFFFF
        header = b"\x41" + self._peer_id + number_sent.to_bytes(2, "big")
        sealed = self._encrypt((sending.aead._iv ^ number).to_bytes(12, "big"), frames, header)
        mask = sending.hp._mask(sealed[2:18])
        first_byte = 0x41 ^ (mask[0] & 0x1F)
        hidden = number_sent ^ (mask[1] << 8 | mask[2])
        self._send_packet(b"".join((bytes((first_byte,)), self._peer_id, hidden.to_bytes(2, "big"), sealed)))
        return number

    def _send_packet(self, packet: bytes) -> None:
        try:
            self._socket.send(packet)
        except BlockingIOError:
            return  # the network's loss: it will be sent again
        except OSError as error:
            self._break(str(error))

    def _ack_frame(self) -> bytes:
        self._owes_ack = False
        while len(self._got) > _ACK_RANGES:
            self._got.shift()
        buffer = Buffer(capacity=256)
        buffer.push_uint_var(_ACK_ONLY)
        push_ack_frame(buffer, self._got, 0, 200)
        return buffer.data

    def acknowledge(self) -> None:
        """If no audio went out since that could take it along."""
        if self._owes_ack and not self.broken:
            self._write(b"")

    def repeat_what_is_old(self, now_s: float) -> None:
        if self.broken or not self._flying:
            return
        oldest = next(iter(self._flying))
        if now_s - self._flying[oldest][0] > _RESEND_AFTER_S:
            self._resend([oldest])

    def _resend(self, numbers: list[int]) -> None:
        now_s = time.monotonic()
        for number in numbers:
            _, offset, piece = self._flying.pop(number)
            self.resent += 1
            self._send_stream(offset, piece, now_s)

    def _take_packet(self, packet: bytes) -> None:
        if packet[0] & 0x80:
            return
        opened = self._opened(packet)
        if opened is None:
            self._break("a packet that nobody can read, such as a stateless reset")
            return
        number, plain = opened
        self._expected = max(self._expected, number + 1)
        self._got.add(number)
        if self._take_acknowledgement(plain):
            return
        if self._take_frames(Buffer(data=plain)) and not self._owes_ack:
            self._owes_ack = True
            self._keeper.acknowledge_later(self)

    def _opened(self, packet: bytes) -> tuple[int, bytes] | None:
        """Its number and its frames; None: it is not one of this connection's. Source: RFC 9001 §5.3, §5.4."""
        receiving = self._receiving
        at = 1 + self._id_bytes
        sample = packet[at + 4 : at + 20]
        if len(sample) < 16:
            return None
        mask = receiving.hp._mask(sample)
        first_byte = packet[0] ^ (mask[0] & 0x1F)
        size = (first_byte & 0x03) + 1
        end = at + size
        truncated = int.from_bytes(packet[at:end], "big") ^ int.from_bytes(mask[1 : 1 + size], "big")
        number = decode_packet_number(truncated, 8 * size, self._expected)
        header = bytes((first_byte,)) + packet[1:at] + truncated.to_bytes(size, "big")
        try:
            plain = self._decrypt((receiving.aead._iv ^ number).to_bytes(12, "big"), packet[end:], header)
        except InvalidTag:
            return None
        return number, plain

    def _take_acknowledgement(self, plain: bytes) -> bool:
        """Whether that was all: the usual packet, which says that everything came up to a number."""
        if plain[0] != _ACK_ONLY:
            return False
        largest, at = _number(plain, 1)
        _, at = _number(plain, at)
        more_ranges, at = _number(plain, at)
        first_range, at = _number(plain, at)
        flying = self._flying
        if more_ranges or at != len(plain) or (flying and next(iter(flying)) < largest - first_range):
            return False
        for number in list(flying):
            if number > largest:
                break
            del flying[number]
        return True

    def _take_frames(self, buffer: Buffer) -> bool:
        """Whether the packet wants an acknowledgement. Source: RFC 9000 §19."""
        is_eliciting = False
        try:
            while not buffer.eof():
                kind = buffer.pull_uint_var()
                is_eliciting = is_eliciting or kind not in _NOT_ELICITING
                self._take_frame(kind, buffer)
        except BufferReadError:
            self._break("a frame that ends too early")
        return is_eliciting

    def _take_frame(self, kind: int, buffer: Buffer) -> None:
        if kind in (0x02, 0x03):
            self._acknowledged(pull_ack_frame(buffer)[0])
        elif 0x08 <= kind <= 0x0F:
            stream_id = buffer.pull_uint_var()
            offset = buffer.pull_uint_var() if kind & 4 else 0
            size = buffer.pull_uint_var() if kind & 2 else buffer.capacity - buffer.tell()
            data = buffer.pull_bytes(size)
            if stream_id == self._stream_id:
                self._take_stream(offset, data)
        elif kind == 0x10:
            # Offsets of other streams hardly move: their few bytes are left out of the sum.
            self._may_send_in_all = max(self._may_send_in_all, buffer.pull_uint_var() - _QUEUE_BYTES // 64)
        elif kind == 0x11:
            if buffer.pull_uint_var() == self._stream_id:
                self._may_send_to = max(self._may_send_to, buffer.pull_uint_var())
            else:
                buffer.pull_uint_var()
        elif kind in (0x12, 0x13, 0x19):
            buffer.pull_uint_var()
        elif kind == 0x18:
            buffer.pull_uint_var()
            buffer.pull_uint_var()
            buffer.pull_bytes(buffer.pull_uint8() + 16)
        elif kind in (0x06, 0x07):
            if kind == 0x06:
                buffer.pull_uint_var()
            buffer.pull_bytes(buffer.pull_uint_var())
        elif kind in (0x30, 0x31):
            buffer.pull_bytes(buffer.pull_uint_var() if kind == 0x31 else buffer.capacity - buffer.tell())
        elif kind not in (0x00, 0x01, 0x1E):
            self._break(f"the server sent a frame of type {kind:#x}")
            buffer.seek(buffer.capacity)

    def _acknowledged(self, ranges: RangeSet) -> None:
        flying = self._flying
        largest = ranges[-1].stop - 1
        missing: list[int] = []
        for number in list(flying):
            if number > largest:
                break
            if number in ranges:
                del flying[number]
            elif number + 3 <= largest:
                missing.append(number)
        if missing:
            self._resend(missing)

    def _take_stream(self, offset: int, data: bytes) -> None:
        if offset > self._heard_to:
            self._early[offset] = data
            return
        data = data[self._heard_to - offset :]
        while data:
            self._heard_to += len(data)
            self._take_text(data)
            data = self._early.pop(self._heard_to, b"")

    def _take_text(self, data: bytes) -> None:
        self._text += data
        while len(self._text) >= stream_messages.HEADER_BYTES:
            after = stream_messages.HEADER_BYTES + int.from_bytes(self._text[1:4], "big")
            if len(self._text) < after:
                return
            payload, self._text = self._text[stream_messages.HEADER_BYTES : after], self._text[after:]
            if payload.startswith(b'{"type":"partial"'):
                self._on_result(time.perf_counter_ns() - self._completed_block_at_ns)
            elif payload.startswith(b'{"type":"started"') and not self._started.done():
                self._started.set_result(None)
            elif payload.startswith(b'{"type":"finished"') and not self._finished.done():
                self._finished.set_result(None)
            elif payload.startswith(b'{"type":"error"'):
                self._break(payload.decode())

    def _break(self, why: str) -> None:
        self.broken = self.broken or why
        for awaited in (self._started, self._finished):
            if not awaited.done():
                awaited.set_exception(SessionBroken(why))
                awaited.exception()  # nobody has to wait for it

    def abort(self) -> None:
        """Say that the connection is over, and leave."""
        if self._is_hand_written and not self.broken:
            self._write(_CLOSE_FRAME)
        self._loop.remove_reader(self._socket)
        self._socket.close()


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The integer there and the place behind it. Source: RFC 9000 §16."""
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size
