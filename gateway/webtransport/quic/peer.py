"""One connection on the loop: what comes in is handled, and all that a turn of the loop has to say goes out together.

Rules that must stay true:
- Nothing is sent while datagrams of the turn are still being read: the listener reads, then flushes who was touched.
- The wheel's timer may come too early: then it is asked again.
- Whatever aioquic or the layer above raises ends this connection alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog
from aioquic.quic.connection import END_STATES, QuicConnectionState
from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from gateway.webtransport.quic.addresses import network_of, plain_host

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from gateway.webtransport.interface import QuicUser
    from gateway.webtransport.quic.addresses import Address
    from gateway.webtransport.quic.server_connection import ServerConnection
    from gateway.webtransport.quic.timer_wheel import TimerWheel

log = structlog.get_logger("gateway")

H3_INTERNAL_ERROR = 0x102
_PASSED_ON = (StreamDataReceived, DatagramFrameReceived, StreamReset, StopSendingReceived)


class PeerHost(Protocol):
    """Where a peer lives: its listener."""

    wheel: TimerWheel

    def flush_soon(self, peer: Peer) -> None: ...

    def send(self, data: bytes, address: Address) -> None: ...

    def id_issued(self, peer: Peer, connection_id: bytes) -> None: ...

    def id_retired(self, peer: Peer, connection_id: bytes) -> None: ...

    def handshake_finished(self, peer: Peer) -> QuicUser | None:
        """The layer above; None: it does not want this connection."""

    def moved(self, peer: Peer, *, is_other_host: bool) -> None: ...

    def ended(self, peer: Peer, outcome: str) -> None:
        """It sends nothing more; called once."""

    def forget(self, peer: Peer) -> None:
        """Nothing more of it will be understood; called once, last."""


class Peer:
    """Implements gateway.webtransport.interface.QuicPeer."""

    def __init__(self, host: PeerHost, quic: ServerConnection, address: Address, *, handshake_due: float) -> None:
        self.quic = quic
        self.ids: set[bytes] = set()
        self.is_touched = False
        """Whether the listener will flush it in this turn."""
        self.is_finished = False
        """Whether the handshake is complete."""
        self._host = host
        self._user: QuicUser | None = None
        self._handshake_due: float | None = handshake_due
        self.soon_tick = self.late_tick = 0
        self._has_failed = False
        self._is_ended = False
        self._is_forgotten = False
        self._network_address = address
        self.address = plain_host(address)
        self.first_network = network_of(address)
        """Where its handshake began; under this one it is counted."""

    # What the layer above uses

    @property
    def min_rtt_us(self) -> int | None:
        return self.quic.min_rtt_us

    def send_soon(self) -> None:
        if not self.is_touched:
            self._host.flush_soon(self)

    def pause(self, stream_id: int) -> None:
        self.quic.pause_stream(stream_id)

    def resume(self, stream_id: int) -> None:
        self.quic.resume_stream(stream_id)
        self.send_soon()

    def unsent_bytes(self, stream_id: int) -> int:
        return self.quic.unsent_bytes(stream_id)

    def close(self, code: int, reason: str = "") -> None:
        self.quic.close_for_application(code, reason)
        self.send_soon()

    # What the listener uses

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """One datagram; what follows from it comes with `flush`."""
        if self._is_forgotten:
            return
        try:
            self.quic.receive_datagram(data, address, now)
        except Exception:
            log.exception("quic.packet_failed")
            self._drop("broken")
            return
        if not self.is_touched:
            self._host.flush_soon(self)

    def has_understood_nothing(self) -> bool:
        """No packet of it could be decrypted: nobody owes it anything."""
        return self.quic._state is QuicConnectionState.FIRSTFLIGHT

    def flush(self, now: float) -> None:
        """Hand on what came, send what is to be sent, and arm the timer. Called by the listener."""
        try:
            if self._is_forgotten:
                return
            self._hand_on_events()  # what the layer above says to them goes out below
            self.is_touched = False
            for data, address in self.quic.datagrams_to_send(now):
                self._host.send(data, address)
            if self.quic._events:
                self._hand_on_events()
            paths = self.quic._network_paths
            if paths and paths[0].addr != self._network_address:
                self._follow(paths[0].addr)
            if self.quic._state in END_STATES:
                self._end()
            self._arm(now)
        except Exception:
            log.exception("quic.connection_failed")
            self._drop("broken")
        finally:
            self.is_touched = False

    def drop(self, outcome: str) -> None:
        """Forget it without a word."""
        self._drop(outcome)

    # Events

    def _hand_on_events(self) -> None:
        events = self.quic._events
        if self.quic.has_news_of_sent:
            self.quic.has_news_of_sent = False
            if self._user is not None:
                self._tell(self._user.quic_sent)
        while events:
            event = events.popleft()
            if type(event) is StreamDataReceived:
                event = _joined(event, events)
            if type(event) in _PASSED_ON:
                if self._user is not None:
                    self._tell(partial(self._user.quic_event, event))
            elif isinstance(event, ConnectionIdIssued):
                self._host.id_issued(self, event.connection_id)
            elif isinstance(event, ConnectionIdRetired):
                self._host.id_retired(self, event.connection_id)
            elif isinstance(event, HandshakeCompleted):
                self._finish_handshake()
            elif isinstance(event, ConnectionTerminated):
                self._drop("idle" if event.reason_phrase == "Idle timeout" else "closed")

    def _tell(self, call: Callable[[], None]) -> None:
        """The layer above, until it fails: a fault there ends this connection, and no other."""
        if self._has_failed:
            return
        try:
            call()
        except Exception:
            log.exception("quic.user_failed")
            self._has_failed = True
            self.quic.close_for_application(H3_INTERNAL_ERROR, "internal error")

    def _finish_handshake(self) -> None:
        self.is_finished = True
        self._handshake_due = None
        self._tell(self._let_in)

    def _let_in(self) -> None:
        self._user = self._host.handshake_finished(self)

    def _follow(self, address: Address) -> None:
        host = plain_host(address)
        is_other_host = host != self.address
        self._network_address = address
        self.address = host
        self._host.moved(self, is_other_host=is_other_host)

    # The end

    def _end(self, outcome: str = "closed") -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self._host.ended(self, outcome)
        user, self._user = self._user, None
        if user is not None:
            try:
                user.quic_closed()
            except Exception:
                log.exception("quic.user_failed")

    def _drop(self, outcome: str) -> None:
        if self._is_forgotten:
            return
        self._is_forgotten = True
        self._end(outcome)
        self._host.wheel.forget(self)
        self._host.forget(self)

    # Time

    def _arm(self, now: float) -> None:
        if self._is_forgotten:
            return
        at = self.quic.get_timer()
        if self._handshake_due is not None and (at is None or self._handshake_due < at):
            at = self._handshake_due
        if at is not None:
            self._host.wheel.call_at(at, self, now)

    def on_time(self, now: float) -> None:
        """Called by the wheel."""
        if self._is_forgotten:
            return
        if self._handshake_due is not None and now >= self._handshake_due:
            self._drop("overdue")
            return
        try:
            at = self.quic.get_timer()
            if at is None or at > now:
                self._arm(now)
                return
            self.quic.handle_timer(now)
        except Exception:
            log.exception("quic.connection_failed")
            self._drop("broken")
            return
        if not self.is_touched:
            self._host.flush_soon(self)


def _joined(event: StreamDataReceived, events: deque[QuicEvent]) -> StreamDataReceived:
    """One event for what came of one stream in a row."""
    pieces: list[bytes] = []
    end_stream = event.end_stream
    while events and isinstance(following := events[0], StreamDataReceived) and following.stream_id == event.stream_id:
        events.popleft()
        pieces.append(following.data)
        end_stream = end_stream or following.end_stream
    if not pieces:
        return event
    pieces.insert(0, event.data)
    return StreamDataReceived(data=b"".join(pieces), end_stream=end_stream, stream_id=event.stream_id)
