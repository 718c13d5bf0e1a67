"""aioquic's HTTP/3, with the settings of every draft, bounds that it lacks, and sending that never raises.

These must stay true:

- Nothing that a client sends makes this side keep more than `max_headers_bytes` of it: frames that aioquic gathers
  whole (HEADERS, SETTINGS, MAX_PUSH_ID) are refused by their announced length.
- Fields are never compressed with a table that the client fills: 32 KB of it would stand for a hundred MB.
- A stream that carries a session's messages is forgotten here once its header is read; its bytes go to the session.

It replaces private methods of aioquic 1.7: `_init_connection`, `_get_local_settings`, `_check_*_frame_type`,
`_decode_headers`, `_receive_stream_data`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pylsqpack
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import (
    ErrorCode,
    FrameError,
    FrameType,
    H3Connection,
    HeadersState,
    ProtocolError,
    Setting,
    encode_frame,
)
from aioquic.h3.events import WebTransportStreamDataReceived
from aioquic.quic.connection import stream_is_unidirectional
from aioquic.quic.events import StreamDataReceived

from gateway.webtransport.http3.drafts import server_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aioquic.h3.connection import H3Stream
    from aioquic.h3.events import H3Event, Headers
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.http3.rules import Http3Rules

MAX_SETTINGS_BYTES = 4_096
MAX_REASON_CHARACTERS = 200
MAX_SMALL_FRAMES = 512
"""At once: frames that are unknown, or of DATA with little in it. Each costs as much work as a full one, and a packet
holds four hundred.
"""
SMALL_FRAMES_PER_SECOND = 100.0
"""That may come again."""

_SMALL_FRAME_BYTES = 64

_FIELD_OVERHEAD_BYTES = 32
"""RFC 9114 §4.2.2."""
_GREASE = 0x21


class ExcessiveLoad(ProtocolError):
    """The client asks for more than it may."""

    error_code = ErrorCode.H3_EXCESSIVE_LOAD


class Http3Connection(H3Connection):
    """The server's side of one connection."""

    def __init__(self, quic: QuicConnection, rules: Http3Rules) -> None:
        self._rules = rules
        self._small_frames_left = float(MAX_SMALL_FRAMES)
        self._small_frame_at_s = time.monotonic()
        super().__init__(quic, enable_webtransport=True)

    @property
    def is_broken(self) -> bool:
        """The client broke the rules of HTTP/3, and QUIC was told to close with the right code."""
        return self._is_done

    def handle_event(self, event: QuicEvent) -> list[H3Event]:
        """As aioquic's; but a stream is told of when its header has come, not only when something follows it."""
        try:
            events = super().handle_event(event)
        except RuntimeError:
            self._is_done = True
            self._quic.close(
                error_code=ErrorCode.H3_CLOSED_CRITICAL_STREAM, reason_phrase="a stream of ours was stopped"
            )
            return []
        if not events and isinstance(event, StreamDataReceived):
            stream = self._stream.get(event.stream_id)
            if stream is not None and stream.session_id is not None:
                opened = WebTransportStreamDataReceived(
                    data=b"",
                    session_id=stream.session_id,
                    stream_id=event.stream_id,
                    stream_ended=event.end_stream,
                )
                return [opened]
        return events

    def answer(self, stream_id: int, status: int, headers: Iterable[tuple[str, str]] = (), *, end: bool) -> bool:
        """False: the client no longer listens to this request."""
        fields = [(b":status", b"%d" % status)]
        fields += [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers]
        if stream_id not in self._stream:
            return False
        try:
            self.send_headers(stream_id, fields, end_stream=end)
        except (ProtocolError, RuntimeError, ValueError):
            return False
        return True

    def body(self, stream_id: int, data: bytes, *, end: bool) -> bool:
        """More of an answer; also the capsules of a session. False: as above."""
        if stream_id not in self._stream:
            return False
        try:
            self.send_data(stream_id, data, end_stream=end)
        except (ProtocolError, RuntimeError, ValueError):
            return False
        return True

    def forget(self, stream_id: int) -> None:
        """Its events no longer come here."""
        self._stream.pop(stream_id, None)

    def abandon(self, stream_id: int, code: int, *, is_client_done: bool = False) -> None:
        """Neither read nor write a stream that the client opened any more, and tell it so."""
        self.forget(stream_id)
        self.abort_reading(stream_id, code, is_client_done=is_client_done)
        self.abort_writing(stream_id, code)

    def abort_reading(self, stream_id: int, code: int, *, is_client_done: bool = False) -> None:
        if is_client_done:
            return
        try:
            self._quic.stop_stream(stream_id, code)
        except ValueError:
            """Both halves are over already."""

    def abort_writing(self, stream_id: int, code: int) -> None:
        if not stream_is_unidirectional(stream_id):
            self._quic.reset_stream(stream_id, code)

    def go_away(self, next_request: int) -> None:
        """No request from this stream on is answered (RFC 9114 §5.2)."""
        frame = encode_frame(FrameType.GOAWAY, encode_uint_var(next_request))
        assert self._local_control_stream_id is not None
        try:
            self._quic.send_stream_data(self._local_control_stream_id, frame)
        except (RuntimeError, ValueError):
            """The client has stopped the control stream: the connection is about to end."""

    def _receive_stream_data(self, event: StreamDataReceived) -> list[H3Event]:
        try:
            return super()._receive_stream_data(event)
        except ProtocolError as error:
            # It names the client's header; a reason that fits into no packet could not be sent.
            error.reason_phrase = error.reason_phrase[:MAX_REASON_CHARACTERS]
            raise

    def _init_connection(self) -> None:
        self._max_table_capacity = 0
        self._blocked_streams = 0
        self._decoder = pylsqpack.Decoder(0, 0)
        super()._init_connection()

    def _get_local_settings(self) -> dict[int, int]:
        return {
            Setting.QPACK_MAX_TABLE_CAPACITY: 0,
            Setting.QPACK_BLOCKED_STREAMS: 0,
            _GREASE: 1,
            **server_settings(
                max_sessions=self._rules.max_sessions_per_connection,
                max_field_section_bytes=self._rules.max_headers_bytes,
            ),
        }

    def _check_request_or_push_frame_type(self, frame_type: int, stream: H3Stream) -> None:
        super()._check_request_or_push_frame_type(frame_type, stream)
        if frame_type == FrameType.HEADERS:
            if (stream.frame_size or 0) > self._rules.max_headers_bytes:
                raise ExcessiveLoad("the headers are too large")
        elif frame_type == FrameType.WEBTRANSPORT_STREAM:
            if stream.headers_recv_state is not HeadersState.INITIAL:
                raise FrameError("a WebTransport stream begins with its header")
        elif frame_type != FrameType.DATA or (stream.frame_size or 0) < _SMALL_FRAME_BYTES:
            self._count_small_frame()

    def _check_control_frame_type(self, frame_type: int) -> None:
        super()._check_control_frame_type(frame_type)
        assert self._peer_control_stream_id is not None
        stream = self._stream[self._peer_control_stream_id]
        self._count_small_frame()
        if frame_type in (FrameType.SETTINGS, FrameType.MAX_PUSH_ID) and (stream.frame_size or 0) > MAX_SETTINGS_BYTES:
            raise ExcessiveLoad("a frame on the control stream is too large")

    def _count_small_frame(self) -> None:
        now_s = time.monotonic()
        earned = (now_s - self._small_frame_at_s) * SMALL_FRAMES_PER_SECOND
        self._small_frame_at_s = now_s
        self._small_frames_left = min(MAX_SMALL_FRAMES, self._small_frames_left + earned) - 1
        if self._small_frames_left < 0:
            raise ExcessiveLoad("too many frames that carry little or nothing")

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Headers:
        headers = super()._decode_headers(stream_id, frame_data)
        size_bytes = sum(len(name) + len(value) + _FIELD_OVERHEAD_BYTES for name, value in headers)
        if len(headers) > self._rules.max_headers or size_bytes > self._rules.max_headers_bytes:
            raise ExcessiveLoad("the headers are too large")
        return headers
