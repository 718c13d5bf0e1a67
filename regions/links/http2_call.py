"""One gRPC call over an HTTP/2 connection of its own: bytes in, messages out, and the other way round. PURE.

A link has one call that lasts as long as its connection, and only needs what such a call needs of HTTP/2 (RFC 9113) and
of gRPC over it. grpcio can do everything and spends 50 µs and two changes of thread on a message; this spends 5 and
none, which is a third of what a gateway spends on audio (docs/benchmarks.md). The engine's side is grpcio's server.

These must stay true: no more is sent than the engine's windows allow; settings and pings are answered; whatever bytes
come, `receive` gives messages or raises CallBroken. Headers are never read, so nothing of HPACK is remembered: that the
call has ended is all that matters, and a flag says it.
"""

from __future__ import annotations

import struct
from collections import deque

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">IBI")
"""Of a frame: length and type in one number, flags, stream."""
_HEAD_BYTES = 9
_SETTING = struct.Struct(">HI")
_PREFIX = struct.Struct(">BI")
"""Of a gRPC message: whether it is compressed, and its length."""
_PREFIX_BYTES = 5

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 0x1, 0x2, 0x4, 0x5

_STREAM = 1
_DEFAULT_WINDOW_BYTES = 65_535
_MAX_WINDOW_BYTES = 0x7FFF_FFFF
_DEFAULT_FRAME_BYTES = 16_384
_OUR_FRAME_BYTES = 1_048_576
_REPLENISH_BYTES = 1 << 30


class CallBroken(Exception):
    """The engine sent what is no HTTP/2, no gRPC, or more than a message may have."""


class Http2Call:
    """The client's end of one call.

    Args:
        path: `/package.Service/Method`.
        authority: what the request names as its host.
    """

    def __init__(self, path: str, *, authority: str, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._received = b""
        self._message = b""
        self._unacknowledged_bytes = 0
        self._unsent: deque[bytes | memoryview] = deque()
        self._connection_window = _DEFAULT_WINDOW_BYTES
        self._stream_window = _DEFAULT_WINDOW_BYTES
        self._initial_window = _DEFAULT_WINDOW_BYTES
        self._max_frame_bytes = _DEFAULT_FRAME_BYTES
        self._out: list[bytes | memoryview] = [_opening(path, authority)]
        self.is_over = False
        """The engine ended the call, in whatever way."""

    @property
    def has_unsent(self) -> bool:
        """Whether messages wait for the engine's windows."""
        return bool(self._unsent)

    def send(self, message: bytes) -> None:
        """Queue one message; `take_out` gives what may go of it."""
        self._unsent.append(_PREFIX.pack(0, len(message)))
        self._unsent.append(message)
        self._fill_frames()

    def take_out(self) -> bytes:
        """The bytes that are to be written now."""
        if not self._out:
            return b""
        out, self._out = self._out, []
        return b"".join(out)

    def receive(self, data: bytes) -> list[bytes]:
        """Take what was read; gives the messages that are now whole.

        Raises:
            CallBroken: the connection must be given up.
        """
        if self._received:
            data = self._received + data
        messages: list[bytes] = []
        at, end = 0, len(data)
        while at + _HEAD_BYTES <= end:
            length_and_type, flags, stream = _HEAD.unpack_from(data, at)
            length = length_and_type >> 8
            if length > _OUR_FRAME_BYTES:
                raise CallBroken(f"a frame of {length} bytes")
            after = at + _HEAD_BYTES + length
            if after > end:
                break
            self._take(length_and_type & 0xFF, flags, stream, data[at + _HEAD_BYTES : after], messages)
            at = after
        self._received = data[at:]
        return messages

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, messages: list[bytes]) -> None:
        if kind == _DATA:
            self._take_data(flags, payload, messages)
        elif kind == _WINDOW_UPDATE:
            self._take_window(stream, payload)
        elif kind == _SETTINGS:
            self._take_settings(flags, payload)
        elif kind == _PING:
            if len(payload) != 8:
                raise CallBroken("a ping without its eight bytes")
            if not flags & _ACK:
                self._out.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _RESET or (kind == _HEADERS and flags & _END_STREAM):
            self.is_over = True
        # GOAWAY lets a call that is under way go on; the rest says nothing that matters to one call.

    def _take_data(self, flags: int, payload: bytes, messages: list[bytes]) -> None:
        self._acknowledge(len(payload))
        if flags & _PADDED:
            if not payload or payload[0] >= len(payload):
                raise CallBroken("padding longer than its frame")
            payload = payload[1 : len(payload) - payload[0]]
        if flags & _END_STREAM:
            self.is_over = True
        data = self._message + payload if self._message else payload
        at, end = 0, len(data)
        while at + _PREFIX_BYTES <= end:
            is_compressed, length = _PREFIX.unpack_from(data, at)
            if is_compressed or length > self._max_message_bytes:
                raise CallBroken(f"a compressed message, or one of {length} bytes")
            after = at + _PREFIX_BYTES + length
            if after > end:
                break
            messages.append(data[at + _PREFIX_BYTES : after])
            at = after
        self._message = data[at:]

    def _acknowledge(self, num_bytes: int) -> None:
        """Open our windows again, long before they are used up."""
        self._unacknowledged_bytes += num_bytes
        if self._unacknowledged_bytes >= _REPLENISH_BYTES:
            increment = self._unacknowledged_bytes.to_bytes(4, "big")
            self._out += [_frame(_WINDOW_UPDATE, 0, stream, increment) for stream in (0, _STREAM)]
            self._unacknowledged_bytes = 0

    def _take_window(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise CallBroken("a window update without its four bytes")
        increment = int.from_bytes(payload, "big") & _MAX_WINDOW_BYTES
        if stream == 0:
            self._connection_window += increment
        elif stream == _STREAM:
            self._stream_window += increment
        if max(self._connection_window, self._stream_window) > _MAX_WINDOW_BYTES:
            raise CallBroken("a window beyond its limit")
        self._fill_frames()

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & _ACK:
            return
        if len(payload) % _SETTING.size:
            raise CallBroken("settings that are cut off")
        for name, value in _SETTING.iter_unpack(payload):
            if name == _INITIAL_WINDOW_SIZE:
                if value > _MAX_WINDOW_BYTES:
                    raise CallBroken("a window beyond its limit")
                self._stream_window += value - self._initial_window
                self._initial_window = value
            elif name == _MAX_FRAME_SIZE:
                if value < _DEFAULT_FRAME_BYTES:
                    raise CallBroken("frames smaller than HTTP/2 allows")
                self._max_frame_bytes = value
        self._out.append(_frame(_SETTINGS, _ACK, 0, b""))
        self._fill_frames()

    def _fill_frames(self) -> None:
        """Turn what is unsent into frames, as far as the windows reach."""
        unsent, out = self._unsent, self._out
        while unsent:
            room = min(self._connection_window, self._stream_window, self._max_frame_bytes)
            if room <= 0:
                return
            parts, size = [], 0
            while unsent and size < room:
                part = unsent.popleft()
                if len(part) > room - size:
                    view = memoryview(part)
                    unsent.appendleft(view[room - size :])
                    part = view[: room - size]
                parts.append(part)
                size += len(part)
            self._connection_window -= size
            self._stream_window -= size
            out.append(_HEAD.pack(size << 8 | _DATA, 0, _STREAM))
            out += parts


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def _opening(path: str, authority: str) -> bytes:
    """Preface, our settings and the request. Headers are literals without indexing (RFC 7541 §6.2.2), names from the
    static table where it has them.
    """
    settings = b"".join(
        _SETTING.pack(name, value)
        for name, value in (
            (_HEADER_TABLE_SIZE, 0),
            (_ENABLE_PUSH, 0),
            (_INITIAL_WINDOW_SIZE, _MAX_WINDOW_BYTES),
            (_MAX_FRAME_SIZE, _OUR_FRAME_BYTES),
        )
    )
    headers = b"".join(
        [
            b"\x83",  # :method POST
            b"\x86",  # :scheme http
            b"\x04" + _text(path),  # :path
            b"\x01" + _text(authority),  # :authority
            b"\x00" + _text("te") + _text("trailers"),
            b"\x0f\x10" + _text("application/grpc"),  # content-type
        ]
    )
    return b"".join(
        [
            _PREFACE,
            _frame(_SETTINGS, 0, 0, settings),
            _frame(_WINDOW_UPDATE, 0, 0, (_MAX_WINDOW_BYTES - _DEFAULT_WINDOW_BYTES).to_bytes(4, "big")),
            _frame(_HEADERS, _END_HEADERS, _STREAM, headers),
        ]
    )


def _text(text: str) -> bytes:
    """A string literal without Huffman coding (RFC 7541 §5.2)."""
    encoded = text.encode("ascii")
    if len(encoded) >= 0x7F:
        raise ValueError(f"a header of {len(encoded)} bytes; 126 at most")
    return bytes([len(encoded)]) + encoded
