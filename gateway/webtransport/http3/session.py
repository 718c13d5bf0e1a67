"""One WebTransport session: the stream of its CONNECT, the one stream of its messages, and its datagrams.

How it ends when the listener closes it:

1. Our half of the message stream ends, and all that was sent is acknowledged, within `close_wait_ms`.
2. The client reads to that end and then ends its half too; or `farewell_ms` pass. When a session closes, Chromium
   throws away what its page has not read yet, however long ago it came.
3. The capsule with code and reason goes out on the CONNECT stream, with its FIN. That stream is never reset: Chromium
   then waits for ever.

The listener hears `closed` exactly once, whoever ended the session.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioquic.buffer import encode_uint_var

from gateway.webtransport.http3.capsules import CapsuleReader, CloseCapsule, encode_close
from gateway.webtransport.http3.drafts import SESSION_GONE
from gateway.webtransport.http3.message_reader import Fault, MessageReader
from gateway.wire import stream_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.webtransport.http3.connection import Http3Connection
    from gateway.webtransport.http3.rules import Http3Rules
    from gateway.webtransport.interface import ConnectRequest, QuicPeer, SessionEvents

MAX_UNSENT_DATAGRAMS = 64


class Session:
    """Implements gateway.webtransport.interface.WebTransportSession for the connection's `Http3User`."""

    def __init__(
        self,
        stream_id: int,
        request: ConnectRequest,
        *,
        peer: QuicPeer,
        http3: Http3Connection,
        rules: Http3Rules,
        unsent: set[Session],
        ended: Callable[[Session], None],
    ) -> None:
        self.stream_id = stream_id
        """Of the CONNECT; the session's own id."""
        self.request = request
        self.message_stream_id: int | None = None
        self.is_over = False
        self._peer = peer
        self._http3 = http3
        self._rules = rules
        self._unsent = unsent
        """Where it is as long as acknowledgements matter to it."""
        self._ended = ended
        self._events: SessionEvents | None = None
        self._reader = MessageReader(max_payload_bytes=rules.max_message_bytes)
        self._capsules = CapsuleReader()
        self._datagram_head = encode_uint_var(stream_id // 4)
        self._kept_back: list[bytes] = []
        self._kept_back_bytes = 0
        self._is_paused = False
        self._is_deaf = False
        """Nothing of the message stream is delivered any more."""
        self._is_client_done = False
        """The client's half of the message stream is over."""
        self._is_mute = False
        """Our half of the message stream is over, or the client does not read it."""
        self._last_word: bytes | None = None
        self._has_read_all = False
        """The client ended its half after ours: it does so when it has read everything."""
        self._is_farewell = False
        self._is_last_word_said = False
        self._deadline: asyncio.TimerHandle | None = None

    # What the listener calls.

    @property
    def unsent_bytes(self) -> int:
        if self.message_stream_id is None:
            return self._kept_back_bytes
        return 0 if self._is_mute else self._peer.unsent_bytes(self.message_stream_id)

    @property
    def min_rtt_us(self) -> int | None:
        return self._peer.min_rtt_us

    @property
    def is_client_done(self) -> bool:
        """Whether the client's half of the message stream is over."""
        return self._is_client_done

    def listen(self, events: SessionEvents) -> None:
        self._events = events

    def send(self, kind: int, payload: bytes) -> None:
        if self._is_mute or self._last_word is not None or self.is_over:
            return
        message = stream_messages.encode(kind, payload)
        if self.message_stream_id is None:
            self._kept_back.append(message)
            self._kept_back_bytes += len(message)
            return
        self._write(message)
        self._peer.send_soon()

    def send_datagram(self, payload: bytes) -> bool:
        quic = self._peer.quic
        if self.is_over or self._last_word is not None or quic._remote_max_datagram_frame_size is None:
            return False
        if len(quic._datagrams_pending) >= MAX_UNSENT_DATAGRAMS:
            return False
        try:
            quic.send_datagram_frame(self._datagram_head + payload)
        except ValueError:
            return False
        self._peer.send_soon()
        return True

    def pause(self) -> None:
        self._is_paused = True
        if self.message_stream_id is not None:
            self._peer.pause(self.message_stream_id)

    def resume(self) -> None:
        self._is_paused = False
        if self.message_stream_id is not None:
            self._peer.resume(self.message_stream_id)

    def close(self, code: int, reason: str) -> None:
        if self._last_word is not None or self.is_over:
            return
        self._last_word = encode_close(code, reason)
        self._is_deaf = True
        self._unsent.add(self)
        self._finish_writing()
        has_stream = self.message_stream_id is not None
        self._wait(self._say_last_word, self._rules.close_wait_ms if has_stream else self._rules.early_wait_ms)
        self._say_last_word_when_heard()
        self._peer.send_soon()

    # What the connection calls.

    def opened(self, stream_id: int) -> None:
        """The client opened its stream."""
        self.message_stream_id = stream_id
        for message in self._kept_back:
            self._write(message)
        self._kept_back.clear()
        self._kept_back_bytes = 0
        if self._is_paused:
            self._peer.pause(stream_id)
        if self._last_word is not None:
            self._finish_writing()
            self._wait(self._say_last_word, self._rules.close_wait_ms)
        else:
            self._write(b"")  # which fails where the client stopped reading before its first byte came
        if self._is_mute:
            self.stream_stopped()

    def stream_data(self, data: bytes, ended: bool) -> None:
        """Of the message stream, in order."""
        if ended:
            self._client_half_ended()
        if self._is_deaf or self._events is None:
            return
        for kind, payload in self._reader.feed(data):
            self._events.received(kind, payload)
            if self._last_word is not None:
                return
        if self._reader.fault is not None:
            self._is_deaf = True
            if self._reader.fault is Fault.too_large:
                self._events.too_large()
            else:
                self._events.broken(self._reader.fault.value)
        elif ended:
            self._is_deaf = True
            if self._reader.is_between_messages:
                self._events.finished_sending()
            else:
                self._events.broken("the stream ended within a message")

    def stream_reset(self) -> None:
        """The client gave up its half of the message stream."""
        self._client_half_ended()
        if not self._is_deaf and self._events is not None:
            self._is_deaf = True
            self._events.finished_sending()

    def stream_stopped(self) -> None:
        """The client does not read its messages, so it would never know why anything ends but by the capsule."""
        self._is_mute = True
        if self._last_word is not None:
            self._say_last_word_when_heard()
        elif not self.is_over and self._events is not None:
            self._is_deaf = True
            self._events.broken("the client stopped reading the session's stream")

    def datagram(self, payload: bytes) -> None:
        if self._events is not None and self._last_word is None and not self.is_over:
            self._events.datagram(payload)

    def connect_data(self, data: bytes, ended: bool) -> None:
        """Capsules, and the end of the client's half of the CONNECT stream."""
        if self.is_over:
            return
        for capsule in self._capsules.feed(data):
            if isinstance(capsule, CloseCapsule):
                self._client_closed(capsule.code, capsule.reason)
                return
        if ended:
            self._client_closed(None, "")
        elif self._capsules.fault is not None and not self._is_deaf and self._events is not None:
            self._is_deaf = True
            self._events.broken(self._capsules.fault)

    def connect_gone(self) -> None:
        """The client reset the CONNECT stream, or reads it no more."""
        if not self.is_over:
            self._client_closed(None, "")

    def acknowledged(self) -> bool:
        """Whether there is still something that the client has not acknowledged."""
        if self.is_over:
            return False
        if self._is_last_word_said:
            if not self._peer.unsent_bytes(self.stream_id):
                self._finish(None, "")
        elif self._last_word is not None:
            self._say_last_word_when_heard()
        elif self._events is not None:
            self._events.sent()
        return not self.is_over and (self._last_word is not None or self.unsent_bytes > 0)

    def lost(self) -> None:
        """The connection is gone."""
        self._finish(None, "")

    # How it ends.

    def _write(self, data: bytes) -> None:
        assert self.message_stream_id is not None
        self._unsent.add(self)
        try:
            self._peer.quic.send_stream_data(self.message_stream_id, data)
        except (RuntimeError, ValueError):
            self._is_mute = True

    def _finish_writing(self) -> None:
        if self.message_stream_id is None or self._is_mute:
            return
        try:
            self._peer.quic.send_stream_data(self.message_stream_id, b"", end_stream=True)
        except (RuntimeError, ValueError):
            self._is_mute = True

    def _client_half_ended(self) -> None:
        self._is_client_done = True
        if self._last_word is not None:
            self._has_read_all = True
            self._say_last_word_when_heard()

    def _say_last_word_when_heard(self) -> None:
        if self._is_last_word_said or self.unsent_bytes:
            return
        if self.message_stream_id is None or self._is_mute or self._has_read_all:
            self._say_last_word()
        elif not self._is_farewell:
            self._is_farewell = True
            self._wait(self._say_last_word, self._rules.farewell_ms)

    def _say_last_word(self) -> None:
        if self._is_last_word_said or self._last_word is None or self.is_over:
            return
        self._is_last_word_said = True
        if self.unsent_bytes:
            self._abort_writing()
        self._abort_reading()
        self._wait(self.lost, self._rules.close_wait_ms)
        if not self._http3.body(self.stream_id, self._last_word, end=True):
            self._finish(None, "")
        self._peer.send_soon()

    def _client_closed(self, code: int | None, reason: str) -> None:
        if not self._is_last_word_said:
            self._is_last_word_said = True
            self._http3.body(self.stream_id, b"", end=True)
            self._abort_writing()
            self._abort_reading()
        self._finish(code, reason)
        self._peer.send_soon()

    def _abort_writing(self) -> None:
        if self.message_stream_id is not None and not self._is_mute:
            self._http3.abort_writing(self.message_stream_id, SESSION_GONE)
            self._is_mute = True

    def _abort_reading(self) -> None:
        self._is_deaf = True
        if self.message_stream_id is not None:
            self._http3.abort_reading(self.message_stream_id, SESSION_GONE, is_client_done=self._is_client_done)

    def _finish(self, code: int | None, reason: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._is_deaf = True
        self._kept_back.clear()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._events is not None:
            self._events.closed(code, reason)
        self._ended(self)

    def _wait(self, then: Callable[[], None], wait_ms: int) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(wait_ms / 1_000, then)
