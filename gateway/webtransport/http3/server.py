"""What comes over one QUIC connection: requests for sessions, their streams and datagrams, and requests for pages.

The way of a message is kept short, because QUIC leaves little time for it: bytes of a stream that is known to carry a
session's messages go straight to the session, and datagrams too; HTTP/3 sees only the rest.

A client that breaks the rules of HTTP/3 loses its connection with the code that says why, and every session on it is
told. What is only refused (a stream too many, a request that is none) is refused by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioquic._buffer import Buffer, BufferReadError
from aioquic.h3.connection import ErrorCode
from aioquic.h3.events import DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.connection import stream_is_unidirectional
from aioquic.quic.events import DatagramFrameReceived, StopSendingReceived, StreamDataReceived, StreamReset

from gateway.webtransport.http3 import capsules
from gateway.webtransport.http3.connection import Http3Connection
from gateway.webtransport.http3.drafts import (
    BUFFERED_STREAM_REJECTED,
    DRAFT02_ANSWER,
    DRAFT02_HEADER,
    SESSION_GONE,
    STREAM_REFUSED,
    TOKENS,
    agreed_draft,
    needs_limits,
    wire_error,
)
from gateway.webtransport.http3.early_streams import EarlyStreams
from gateway.webtransport.http3.offered_protocols import CHOICE_HEADER, OFFERS_HEADER, encode_choice, parse_offers
from gateway.webtransport.http3.pages import Pages
from gateway.webtransport.http3.request_head import RequestHead, read_head
from gateway.webtransport.http3.session import Session
from gateway.webtransport.interface import ConnectRequest

if TYPE_CHECKING:
    from aioquic.h3.events import H3Event
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.http3.rules import Http3Rules
    from gateway.webtransport.interface import Door, Draft, QuicPeer

_ENDED_REMEMBERED = 64
"""Sessions whose late streams are told that their session is gone."""
_MAX_EVENTS_BEFORE_SETTINGS = 16
_MAX_QUARTER_STREAM_ID = (1 << 60) - 1  # RFC 9297 §2.1


class Http3User:
    """Implements gateway.webtransport.interface.QuicUser. Its deadlines are of the running loop."""

    def __init__(self, peer: QuicPeer, door: Door, rules: Http3Rules) -> None:
        self._peer = peer
        self._door = door
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._http3 = Http3Connection(peer.quic, rules)
        self._pages = Pages(peer, self._http3, door, rules, self._watch_emptiness)
        self._sessions: dict[int, Session] = {}
        self._message_streams: dict[int, Session] = {}
        self._unsent: set[Session] = set()
        self._ended_sessions: dict[int, None] = {}
        self._early = EarlyStreams(max_streams=rules.max_early_streams, max_bytes=rules.max_early_bytes)
        self._early_deadline: asyncio.TimerHandle | None = None
        self._before_settings: list[HeadersReceived | DataReceived] = []
        self._refused: set[int] = set()
        self._refused_count = 0
        self._next_request = 0
        self._is_going_away = False
        self._is_over = False
        self._emptiness: asyncio.TimerHandle | None = None
        self._watch_emptiness()
        peer.send_soon()

    @property
    def sessions(self) -> int:
        """How many are open."""
        return len(self._sessions)

    def drain(self) -> None:
        """Answer no new request; sessions and pages that there are go on."""
        if not self._is_going_away and not self._is_over:
            self._is_going_away = True
            self._http3.go_away(self._next_request)
            self._watch_emptiness()
            self._peer.send_soon()

    def quic_event(self, event: QuicEvent) -> None:
        if self._is_over:
            return
        if isinstance(event, StreamDataReceived):
            session = self._message_streams.get(event.stream_id)
            if session is not None:
                session.stream_data(event.data, event.end_stream)
                return
            if event.stream_id in self._refused:
                if event.end_stream:
                    self._refused.discard(event.stream_id)
                return
        elif isinstance(event, DatagramFrameReceived):
            self._datagram(event.data)
            return
        elif self._is_end_of_known_stream(event):
            return
        self._http3_events(event)

    def quic_sent(self) -> None:
        for session in tuple(self._unsent):
            if not session.acknowledged():
                self._unsent.discard(session)
        if self._pages.in_flight:
            self._pages.acknowledged()

    def quic_closed(self) -> None:
        self._is_over = True
        if self._emptiness is not None:
            self._emptiness.cancel()
        if self._early_deadline is not None:
            self._early_deadline.cancel()
        self._pages.close()
        for session in tuple(self._sessions.values()):
            session.lost()
        self._early.take()
        self._before_settings.clear()

    # What HTTP/3 makes of it.

    def _http3_events(self, event: QuicEvent) -> None:
        for each in self._http3.handle_event(event):
            self._http3_event(each)
            if self._is_over:
                return
        if self._http3.is_broken:
            self._peer.send_soon()
            self.quic_closed()
            return
        if self._before_settings and self._http3.received_settings is not None:
            held, self._before_settings = self._before_settings, []
            for each in held:
                if not self._is_over:
                    self._http3_event(each)
        if isinstance(event, StreamReset | StopSendingReceived):
            self._request_given_up(event)

    def _http3_event(self, event: H3Event) -> None:
        match event:  # pushes are for clients; datagrams do not come this way
            case WebTransportStreamDataReceived():
                self._stream(event)
            case DataReceived():
                self._request_data(event)
            case HeadersReceived():
                self._headers(event)

    def _headers(self, event: HeadersReceived) -> None:
        stream_id = event.stream_id
        if not any(name == b":method" for name, _ in event.headers):
            # Trailers: they mean nothing here, but a request may end with them.
            self._request_data(DataReceived(data=b"", stream_id=stream_id, stream_ended=event.stream_ended))
            return
        is_connect = (b":method", b"CONNECT") in event.headers
        if is_connect and self._http3.received_settings is None:
            self._hold(event)
            return
        if self._is_going_away and stream_id >= self._next_request:
            self._too_late(event, is_connect=is_connect)
            return
        self._next_request = max(self._next_request, stream_id + 4)
        if self._next_request // 4 >= self._rules.max_requests:
            self.drain()
        head = read_head(event.headers, max_path_bytes=self._rules.max_path_bytes)
        if isinstance(head, int):
            self._refuse_request(event, head)
        elif head.protocol in TOKENS:
            self._connect(stream_id, head, event)
        elif head.protocol:
            self._refuse_request(event, 501)
        else:
            self._stop_reading(event)
            self._pages.asked(stream_id, self._request(head, None))
            self._watch_emptiness()

    def _request_data(self, event: DataReceived) -> None:
        session = self._sessions.get(event.stream_id)
        if session is not None:
            session.connect_data(event.data, event.stream_ended)
        elif any(held.stream_id == event.stream_id for held in self._before_settings):
            self._hold(event)

    def _hold(self, event: HeadersReceived | DataReceived) -> None:
        """A request for a session waits for the client's SETTINGS: they say which draft it speaks."""
        held_bytes = sum(len(held.data) for held in (*self._before_settings, event) if isinstance(held, DataReceived))
        if len(self._before_settings) >= _MAX_EVENTS_BEFORE_SETTINGS or held_bytes > self._rules.max_early_bytes:
            self._close(ErrorCode.H3_EXCESSIVE_LOAD, "too much came before the settings")
        else:
            self._before_settings.append(event)

    def _too_late(self, event: HeadersReceived, *, is_connect: bool) -> None:
        """A request after GOAWAY. One for a session gets an answer: Chromium waits long for a reset one."""
        if is_connect:
            self._refuse_request(event, 503)
        else:
            self._refuse_stream(event.stream_id, ErrorCode.H3_REQUEST_REJECTED, is_client_done=event.stream_ended)

    def _refuse_request(self, event: HeadersReceived, status: int) -> None:
        self._stop_reading(event)
        self._pages.refuse(event.stream_id, status)

    def _stop_reading(self, request: HeadersReceived) -> None:
        """Whether the client hears it or not, no more than one window of flow control still comes."""
        if not request.stream_ended:
            self._http3.abort_reading(request.stream_id, ErrorCode.H3_NO_ERROR)
            self._peer.pause(request.stream_id)

    def _request(self, head: RequestHead, draft: Draft | None) -> ConnectRequest:
        offers = parse_offers(value for name, value in head.headers if name == OFFERS_HEADER)
        return ConnectRequest(
            method=head.method,
            authority=head.authority,
            path=head.path,
            headers=head.headers,
            protocols=offers,
            address=self._peer.address,
            draft=draft,
        )

    # Sessions.

    def _connect(self, stream_id: int, head: RequestHead, event: HeadersReceived) -> None:
        settings = self._http3.received_settings or {}
        draft = agreed_draft(settings, protocol=head.protocol, headers=head.headers)
        request = self._request(head, draft)
        is_full = len(self._sessions) >= self._rules.max_sessions_per_connection
        status = 429 if is_full else self._door.knock(request)
        if status != 200:
            self._stop_reading(event)
            self._http3.answer(stream_id, status, end=True)
            self._peer.send_soon()
            return
        self._accept(stream_id, request)
        session = Session(
            stream_id,
            request,
            peer=self._peer,
            http3=self._http3,
            rules=self._rules,
            unsent=self._unsent,
            ended=self._session_ended,
        )
        self._sessions[stream_id] = session
        self._watch_emptiness()
        self._door.enter(session)
        if event.stream_ended:
            session.connect_data(b"", ended=True)
        self._deliver_early(session)
        self._peer.send_soon()

    def _accept(self, stream_id: int, request: ConnectRequest) -> None:
        headers = []
        if any(name == DRAFT02_HEADER for name, _ in request.headers):
            headers.append(DRAFT02_ANSWER)
        if self._rules.protocol in request.protocols:
            headers.append((CHOICE_HEADER, encode_choice(self._rules.protocol)))
        self._http3.answer(stream_id, 200, headers, end=False)
        if request.draft is not None and needs_limits(request.draft):
            limits = (capsules.MAX_STREAMS_BIDI, capsules.MAX_STREAMS_UNI, capsules.MAX_DATA)
            allowed = b"".join(capsules.encode_limit(kind, capsules.HIGHEST_LIMIT) for kind in limits)
            self._http3.body(stream_id, allowed, end=False)

    def _session_ended(self, session: Session) -> None:
        self._sessions.pop(session.stream_id, None)
        self._unsent.discard(session)
        if session.message_stream_id is not None:
            self._message_streams.pop(session.message_stream_id, None)
            if not session.is_client_done:
                self._refused.add(session.message_stream_id)
        self._ended_sessions[session.stream_id] = None
        if len(self._ended_sessions) > _ENDED_REMEMBERED:
            del self._ended_sessions[next(iter(self._ended_sessions))]
        self._watch_emptiness()

    def _datagram(self, data: bytes) -> None:
        buffer = Buffer(data=data[:8])
        try:
            quarter_id = buffer.pull_uint_var()
        except BufferReadError:
            quarter_id = _MAX_QUARTER_STREAM_ID + 1
        if quarter_id > _MAX_QUARTER_STREAM_ID:
            self._close(ErrorCode.H3_DATAGRAM_ERROR, "a datagram names no session")
            return
        session = self._sessions.get(quarter_id * 4)
        if session is not None:
            session.datagram(data[buffer.tell() :])

    # Streams of sessions.

    def _stream(self, event: WebTransportStreamDataReceived) -> None:
        stream_id, session_id = event.stream_id, event.session_id
        session = self._sessions.get(session_id)
        if session_id % 4:
            self._close(ErrorCode.H3_ID_ERROR, "a stream names what is no session")
        elif session is not None:
            self._open(session, stream_id, event.data, event.stream_ended)
        elif session_id in self._ended_sessions:
            self._refuse_stream(stream_id, SESSION_GONE, is_client_done=event.stream_ended)
        elif not self._early.keep(stream_id, session_id, event.data, is_ended=event.stream_ended):
            self._refuse_stream(stream_id, BUFFERED_STREAM_REJECTED, is_client_done=event.stream_ended)
        elif self._early_deadline is None:
            self._early_deadline = self._loop.call_later(self._rules.early_wait_ms / 1_000, self._refuse_early)

    def _open(self, session: Session, stream_id: int, data: bytes, is_ended: bool) -> None:
        """The first bidirectional stream of a session is that of its messages."""
        if stream_is_unidirectional(stream_id) or session.message_stream_id is not None or session.is_over:
            self._refuse_stream(stream_id, wire_error(STREAM_REFUSED), is_client_done=is_ended)
            return
        self._http3.forget(stream_id)
        self._message_streams[stream_id] = session
        session.opened(stream_id)
        session.stream_data(data, is_ended)

    def _refuse_stream(self, stream_id: int, code: int, *, is_client_done: bool) -> None:
        self._http3.abandon(stream_id, code, is_client_done=is_client_done)
        self._peer.send_soon()
        if not is_client_done:
            self._refused.add(stream_id)
            self._peer.pause(stream_id)
        self._refused_count += 1
        if self._refused_count > self._rules.max_refused_streams:
            self._close(ErrorCode.H3_EXCESSIVE_LOAD, "too many streams that were refused")

    def _deliver_early(self, session: Session) -> None:
        for stream in self._early.take(session.stream_id):
            self._open(session, stream.stream_id, bytes(stream.data), stream.is_ended)
        if self._early_deadline is not None and not len(self._early):
            self._early_deadline.cancel()
            self._early_deadline = None

    def _refuse_early(self) -> None:
        self._early_deadline = None
        for stream in self._early.take():
            self._refuse_stream(stream.stream_id, BUFFERED_STREAM_REJECTED, is_client_done=stream.is_ended)

    def _is_end_of_known_stream(self, event: QuicEvent) -> bool:
        """A reset, or a stop, of a stream that HTTP/3 does not know of."""
        if not isinstance(event, StreamReset | StopSendingReceived):
            return False
        session = self._message_streams.get(event.stream_id)
        is_reset = isinstance(event, StreamReset)
        if session is not None:
            if is_reset:
                session.stream_reset()
            else:
                session.stream_stopped()
            return True
        if event.stream_id in self._early and is_reset:
            self._early.drop(event.stream_id)
            self._http3.abandon(event.stream_id, SESSION_GONE, is_client_done=True)
            self._peer.send_soon()
            return True
        if event.stream_id not in self._refused:
            return False
        if is_reset:
            self._refused.discard(event.stream_id)
        return True

    def _request_given_up(self, event: StreamReset | StopSendingReceived) -> None:
        """A request's stream was reset, or its answer is no longer wanted.

        The first alone takes back no request for a page: it is how clients answer when told not to send a body.
        """
        self._before_settings = [held for held in self._before_settings if held.stream_id != event.stream_id]
        session = self._sessions.get(event.stream_id)
        if session is not None:
            session.connect_gone()
        elif isinstance(event, StopSendingReceived):
            self._pages.cancelled(event.stream_id)

    # How the connection ends.

    def _watch_emptiness(self) -> None:
        """A connection without sessions and pages may stay a little: its client closes it, or uses it again."""
        if self._emptiness is not None:
            self._emptiness.cancel()
            self._emptiness = None
        if self._is_over or self._sessions or self._pages.in_flight:
            return
        wait_ms = self._rules.empty_connection_ms
        if self._ended_sessions or self._is_going_away:
            wait_ms = self._rules.linger_ms
        self._emptiness = self._loop.call_later(wait_ms / 1_000, self._close, ErrorCode.H3_NO_ERROR, "")

    def _close(self, code: int, why: str) -> None:
        if not self._is_over:
            self._peer.close(code, why)
            self.quic_closed()
