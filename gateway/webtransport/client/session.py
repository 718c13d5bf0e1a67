"""One WebTransport session as its client sees it: messages both ways on one stream, datagrams, and how it ended.

These must stay true:
  - What arrived before the end of the session is delivered, then the end; `ended` says how.
  - Once all is read that the server had to say, this side's half of the stream ends too: it waits for that.
  - Whoever sends waits while `max_unsent_bytes` are not acknowledged; who does not read holds the server back.
  - The session is one that the draft allows: of draft-13 nothing is sent beyond what the server's capsules permit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode, FrameType
from aioquic.h3.connection import ProtocolError as H3ProtocolError
from aioquic.quic.events import DatagramFrameReceived, StopSendingReceived, StreamDataReceived, StreamReset

from gateway.webtransport.client.connection import Loss
from gateway.webtransport.client.errors import SessionOver
from gateway.webtransport.http3.capsules import (
    MAX_DATA,
    MAX_STREAMS_BIDI,
    CapsuleReader,
    CloseCapsule,
    LimitCapsule,
    encode_close,
)
from gateway.webtransport.http3.drafts import application_error, needs_limits
from gateway.webtransport.http3.message_reader import MessageReader
from gateway.wire import stream_messages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aioquic.h3.connection import H3Connection
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.client.connection import ClientConnection
    from gateway.webtransport.client.held_connection import HeldQuicConnection
    from gateway.webtransport.client.options import ClientOptions
    from gateway.webtransport.interface import Draft


class End(Enum):
    """How a session ended."""

    closed = "the server closed the session"
    closed_here = "this side closed the session"
    lost = "the connection was lost"
    broken = "the server broke the protocol"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """`code`: of whoever closed the session. None: nobody said one. `loss`: of the connection, where that was it."""

    how: End
    code: int | None = None
    reason: str = ""
    loss: Loss | None = None


class ClientSession:
    """Made by `connect_webtransport`, which closes it too."""

    def __init__(
        self,
        session_id: int,
        connection: ClientConnection,
        http3: H3Connection,
        draft: Draft,
        options: ClientOptions,
    ) -> None:
        self.draft = draft
        self.protocol = ""
        """Which of the offered protocols the server chose."""
        self.ended: SessionEnd | None = None
        self._session_id = session_id
        self._connection = connection
        self._quic: HeldQuicConnection = connection.quic
        self._http3 = http3
        self._options = options
        self._capsules = CapsuleReader()
        self._reader = MessageReader(max_payload_bytes=options.max_message_bytes)
        self._stream_id: int | None = None
        self._max_streams = 0 if needs_limits(draft) else 1
        self._max_data: int | None = 0 if needs_limits(draft) else None
        self._sent_bytes = 0
        self._is_stream_over = False
        self._is_stopped = False
        """The server takes nothing of the stream any more."""
        self._is_request_over = False
        self._is_connection_over = False
        self._has_all = False
        """The server's half of the stream is over."""
        self._datagram_head = encode_uint_var(session_id // 4)
        self._received: deque[tuple[int, bytes]] = deque()
        self._received_bytes = 0
        self._closing: tuple[int, str] | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    # --- what its user calls --------------------------------------------------------------------------

    @property
    def quic(self) -> HeldQuicConnection:
        """The connection below, for who must know what it does."""
        return self._quic

    @property
    def local_address(self) -> tuple[str, int]:
        return self._connection.local_address

    @property
    def close_code(self) -> int | None:
        return None if self.ended is None else self.ended.code

    @property
    def close_reason(self) -> str:
        return "" if self.ended is None else self.ended.reason

    @property
    def max_datagram_bytes(self) -> int:
        """The largest payload of `send_datagram`; 0: the server takes none."""
        return max(0, self._quic.largest_datagram_bytes - len(self._datagram_head))

    async def send(self, kind: int, payload: bytes) -> None:
        """A message (gateway.wire.stream_messages). Waits for room. Raises SessionOver."""
        await self.send_bytes(stream_messages.encode(kind, payload))

    async def send_bytes(self, data: bytes) -> None:
        """On the session's stream, as they are. Waits for room. Raises SessionOver."""
        while self._may_send and not self._has_room(len(data)):
            await self._change()
        if not self._may_send or self._stream_id is None:
            raise SessionOver("the session has ended" if self._closing is None else "the session is being closed")
        self._sent_bytes += len(data)
        self._quic.send_stream_data(self._stream_id, data)
        self._connection.send_soon()

    def finish_sending(self) -> None:
        """Nothing follows on the session's stream; messages still come."""
        if self._may_send and self._stream_id is not None:
            self._is_stream_over = True
            self._quic.send_stream_data(self._stream_id, b"", end_stream=True)
            self._connection.send_soon()

    def send_datagram(self, payload: bytes) -> bool:
        """False: it is too large, too many wait, or the session is over; nothing was sent."""
        if self.ended is not None or self._closing is not None or len(payload) > self.max_datagram_bytes:
            return False
        if self._quic.waiting_datagrams >= self._options.max_unsent_datagrams:
            return False
        self._quic.send_datagram_frame(self._datagram_head + payload)
        self._connection.send_soon()
        return True

    async def datagram_room(self) -> None:
        """Wait until one more datagram may be sent, or the session is over."""
        while self.ended is None and self._quic.waiting_datagrams >= self._options.max_unsent_datagrams:
            await self._change()

    async def datagrams_out(self) -> None:
        """Wait until none waits for the network, where the stream could overtake it, or the session is over."""
        while self.ended is None and self._quic.waiting_datagrams:
            await self._change()

    async def delivered(self) -> None:
        """Wait until all that was sent on the stream is acknowledged, or the session is over: what is sent in datagrams
        from here on comes after it.
        """
        while self.ended is None and self._unsent_bytes:
            await self._change()

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """Kind and payload of what the server says, until the session is over: then `ended` says why."""
        while True:
            while self._received:
                kind, payload = self._received.popleft()
                self._received_bytes -= len(payload)
                self._hold()
                yield kind, payload
            if self.ended is not None:
                return
            if self._has_all:
                self.finish_sending()  # "I have read all": the server closes the session then, with a code
            await self._change()

    def close(self, code: int = 0, reason: str = "") -> None:
        """End the session once all that was sent is delivered, or the server does not take it for too long."""
        if self.ended is not None or self._closing is not None:
            return
        self.finish_sending()
        self._closing = (code, reason)
        self._say_farewell()

    async def wait_closed(self) -> None:
        await self._over.wait()

    def rebind(self, *, has_new_id: bool = False) -> None:
        """Go on from another local UDP port. Raises OSError. See `ClientConnection.rebind`."""
        self._connection.rebind(has_new_id=has_new_id)

    # --- what the connection calls --------------------------------------------------------------------

    async def open_stream(self) -> None:
        """The session's one stream, as soon as the draft allows it. A session that has ended by then has none."""
        while self.ended is None and not self._max_streams:
            await self._change()
        if self.ended is not None:
            return
        self._stream_id = self._quic.get_next_available_stream_id()
        head = encode_uint_var(FrameType.WEBTRANSPORT_STREAM) + encode_uint_var(self._session_id)
        self._quic.send_stream_data(self._stream_id, head)
        self._connection.send_soon()

    def takes(self, event: QuicEvent) -> bool:
        """Whether it was of this session's stream, or a datagram: HTTP/3 need not look at it."""
        match event:
            case StreamDataReceived(data=data, end_stream=is_end, stream_id=stream_id) if stream_id == self._stream_id:
                self._take_stream(data, is_end=is_end)
            case StreamReset(stream_id=stream_id) if stream_id == self._stream_id:
                pass  # with the end of the session, whose reason comes by itself
            case StopSendingReceived(stream_id=stream_id, error_code=code) if stream_id == self._stream_id:
                self._is_stream_over = self._is_stopped = True
                if application_error(code) is not None:
                    self._finish(SessionEnd(End.broken, reason="the server does not read the session's stream"))
            case DatagramFrameReceived():
                pass  # this protocol has none from the server
            case _:
                return False
        return True

    def connect_data(self, data: bytes, *, is_end: bool) -> None:
        """Capsules, on the stream of the CONNECT."""
        for capsule in self._capsules.feed(data):
            match capsule:
                case CloseCapsule(code, reason):
                    self._end_request(b"")
                    self._finish(SessionEnd(End.closed, code, reason))
                case LimitCapsule(kind, value) if kind == MAX_STREAMS_BIDI:
                    self._max_streams = max(self._max_streams, value)
                case LimitCapsule(kind, value) if kind == MAX_DATA and self._max_data is not None:
                    self._max_data = max(self._max_data, value)
        if self._capsules.fault is not None:
            self._break(self._capsules.fault)
        elif is_end:
            self._end_request(b"")
            self._finish(SessionEnd(End.closed, 0))
        self._news.set()

    def moved(self) -> None:
        self._say_farewell()
        self._news.set()

    def lost(self, loss: Loss, code: int, reason: str) -> None:
        self._is_connection_over = True
        how = {Loss.closed_here: End.closed_here, Loss.broken: End.broken}.get(loss, End.lost)
        self._finish(SessionEnd(how, code or None, reason, loss))
        self._news.set()

    async def farewell(self) -> None:
        """Close, and give the farewell its time; not to a server that has long fallen silent."""
        self.close()
        if self._connection.unanswered_s >= self._options.close_timeout_s:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.close_timeout_s):
                while not self._is_connection_over and not self._quic.is_delivered(self._session_id):
                    await self._change()

    # --- parts ----------------------------------------------------------------------------------------

    @property
    def _may_send(self) -> bool:
        return self.ended is None and self._closing is None and not self._is_stream_over

    def _has_room(self, num_bytes: int) -> bool:
        if self._stream_id is None:
            return False
        if self._max_data is not None and self._sent_bytes + num_bytes > self._max_data:
            return False
        return self._unsent_bytes <= self._options.max_unsent_bytes

    @property
    def _unsent_bytes(self) -> int:
        """On the session's stream, and not acknowledged."""
        if self._stream_id is None or self._is_stopped:
            return 0
        return self._quic.unsent_bytes(self._stream_id)

    def _take_stream(self, data: bytes, *, is_end: bool) -> None:
        if self.ended is not None:
            return
        for kind, payload in self._reader.feed(data):
            self._received.append((kind, payload))
            self._received_bytes += len(payload)
        if self._reader.fault is not None:
            self._break(self._reader.fault.value)
        elif is_end and not self._reader.is_between_messages:
            self._break("the server's stream ended within a message")
        self._has_all = self._has_all or is_end
        self._hold()
        self._news.set()

    def _hold(self) -> None:
        """No more credit while too much waits to be taken."""
        if self._stream_id is None:
            return
        if self._received_bytes > self._options.max_unread_bytes:
            self._quic.held.add(self._stream_id)
        elif self._stream_id in self._quic.held and self._received_bytes * 2 < self._options.max_unread_bytes:
            self._quic.held.discard(self._stream_id)
            self._connection.send_soon()

    def _say_farewell(self) -> None:
        """The capsule, once what was sent before it is acknowledged: it travels on another stream."""
        if self._closing is None or self.ended is not None or self._unsent_bytes:
            return
        code, reason = self._closing
        self._end_request(encode_close(code, reason))
        self._finish(SessionEnd(End.closed_here, code, reason))

    def _end_request(self, capsule: bytes) -> None:
        """Our half of the CONNECT's stream; once."""
        if self._is_request_over:
            return
        self._is_request_over = True
        with contextlib.suppress(H3ProtocolError, RuntimeError, ValueError):  # the server reset the stream
            self._http3.send_data(self._session_id, capsule, end_stream=True)
        self._connection.send_soon()

    def _break(self, why: str) -> None:
        self._finish(SessionEnd(End.broken, reason=why))
        self._connection.close(ErrorCode.H3_MESSAGE_ERROR, why)

    def _finish(self, end: SessionEnd) -> None:
        if self.ended is None:
            self.ended = end
            self._over.set()
            self._news.set()

    async def _change(self) -> None:
        """Wait for anything new. Several may wait at once."""
        self._news.clear()
        await self._news.wait()
