"""A client's QUIC connection on asyncio: its socket, its timers, and the news that it is lost.

Beside what aioquic's does: one transmit a turn of the loop, stateless resets (RFC 9000 §10.3), a server whose port
nobody listens on any more, an end that is told as soon as it is known, and another local port in mid-connection: when
it is asked for, and by itself when a network answers no more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode

from gateway.webtransport.client.held_connection import HeldQuicConnection

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.client.options import ClientOptions

logging.getLogger("quic").addHandler(logging.NullHandler())
"""aioquic's. Without a handler Python would write its warnings between the words of a command."""

_TLS_ALERTS = range(0x100, 0x200)
_READ_BYTES = 65_536
_READS_A_TURN = 64

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Loss(Enum):
    """How a connection ended."""

    closed_here = "this side closed it"
    closed_by_server = "the server closed it"
    unanswered = "the server did not answer any more"
    reset = "the server has forgotten the connection"
    unreachable = "nobody listens at the server's address"
    broken = "the server broke the protocol"
    no_handshake = "there is no secure connection with the server"


class ConnectionUser(Protocol):
    """Who uses the connection. Nothing here may wait."""

    def quic_event(self, event: QuicEvent) -> None: ...

    def moved(self) -> None:
        """Packets came or went: what was waited for may be there."""

    def lost(self, loss: Loss, code: int, reason: str) -> None:
        """Called once, last."""


class ClientConnection:
    """One connection. `user` hears of it from `open` on."""

    def __init__(
        self, configuration: QuicConfiguration, address: SocketAddress, family: int, options: ClientOptions
    ) -> None:
        self.quic = HeldQuicConnection(configuration=configuration)
        self._user: ConnectionUser | None = None
        self._address = address
        self._family = family
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._socket_before: socket.socket | None = None
        """After `rebind`, until the server answers to the new one: packets to it may be on their way."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._sending: asyncio.Handle | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._pings = itertools.count(1)
        self._unanswered_since_s: float | None = None
        self._has_moved = False
        self._loss: Loss | None = None
        self._has_closed_here = False
        self._over = asyncio.Event()

    def open(self, user: ConnectionUser) -> None:
        """Send the first packet. Raises OSError: the address cannot be used."""
        self._user = user
        self._bind()
        self.quic.connect(self._address, now=self._loop.time())
        self._transmit()

    def rebind(self, *, has_new_id: bool = False) -> None:
        """Go on from another local port. Raises OSError: there is none to be had, and nothing has changed.

        Args:
            has_new_id: under another connection id too, as a client does that moves on purpose; without, as when a
                router on the way forgets what it translates.
        """
        self._bind()
        if has_new_id:
            self.quic.change_connection_id()
        self.quic.send_ping(next(self._pings))
        self.send_soon()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port; empty once it is over."""
        if self._socket is None:
            return ("", 0)
        host, port, *_ = self._socket.getsockname()
        return (host, port)

    @property
    def unanswered_s(self) -> float:
        """For how long the server has not acknowledged anything that was sent; 0 where nothing is to be."""
        return 0.0 if self._unanswered_since_s is None else self._loop.time() - self._unanswered_since_s

    def send_soon(self) -> None:
        """At the end of this turn of the loop, with all else of the turn."""
        if self._sending is None and self._loss is None:
            self._sending = self._loop.call_soon(self._transmit)

    def close(self, code: int, reason: str = "") -> None:
        self._has_closed_here = True
        self.quic.close(error_code=code, reason_phrase=reason)
        self.send_soon()

    def abandon(self) -> None:
        """Forget it, without another packet."""
        self._end(Loss.closed_here, 0, "")

    async def wait_over(self) -> None:
        await self._over.wait()

    # --- the socket -----------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Connected, so that the system tells when nobody listens there."""
        bound = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.connect(self._address)
        except OSError:
            bound.close()
            raise
        self._release(self._socket_before)
        self._socket_before, self._socket = self._socket, bound
        self._loop.add_reader(bound.fileno(), self._read, bound)

    def _release(self, bound: socket.socket | None) -> None:
        if bound is not None:
            self._loop.remove_reader(bound.fileno())
            bound.close()

    def _read(self, bound: socket.socket) -> None:
        for _ in range(_READS_A_TURN):
            if self._loss is not None:
                return
            try:
                data = bound.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionRefusedError:
                if bound is self._socket:
                    self._end(Loss.unreachable, 0, "")
                return
            except OSError:
                return  # a network that went away: the packets that were sent are lost, and are sent again
            if bound is self._socket and self._socket_before is not None:
                self._release(self._socket_before)
                self._socket_before = None
            self._received(data)

    def _received(self, data: bytes) -> None:
        if self.quic.is_stateless_reset(data):
            self._end(Loss.reset, 0, "")
            return
        heard_until_s = self.quic.idle_at_s
        self.quic.receive_datagram(data, self._address, now=self._loop.time())
        if self.quic.idle_at_s != heard_until_s:  # it was a packet of the server's, and not of somebody's
            self._unanswered_since_s = None
            self._has_moved = False
        self._take_events()
        self.send_soon()

    def _transmit(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._loss is not None:
            return
        now = self._loop.time()
        for data, _ in self.quic.datagrams_to_send(now=now):
            if not self._send(data):
                return
        if self.quic.end is not None:
            self._ended(self.quic.end)  # what would follow is only for packets that are late
            return
        self._watch_answers(now)
        self._set_timer()
        if self._user is not None:
            self._user.moved()

    def _send(self, data: bytes) -> bool:
        """False: the connection is over. What cannot be sent counts as lost on the way."""
        if self._socket is None:
            return False
        try:
            self._socket.send(data)
        except ConnectionRefusedError:
            self._end(Loss.unreachable, 0, "")
            return False
        except OSError:
            return True
        return True

    # --- time -----------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        at = self.quic.get_timer()
        if self._timer is not None and self._timer_at == at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._timed_out)

    def _timed_out(self) -> None:
        now = max(self._timer_at or 0.0, self._loop.time())
        self._timer = self._timer_at = None
        self.quic.handle_timer(now=now)
        self._take_events()
        self._transmit()

    def _watch_answers(self, now: float) -> None:
        """A server acknowledges at once. One that does not is tried from another port, then given up."""
        if not self.quic.has_handshake or not self.quic.is_owed_an_answer:
            self._unanswered_since_s = None
        elif self._unanswered_since_s is None:
            self._unanswered_since_s = now
        elif now - self._unanswered_since_s >= self._options.unanswered_s:
            self._end(Loss.unanswered, 0, "")
        elif now - self._unanswered_since_s >= self._options.move_after_s and not self._has_moved:
            self._has_moved = True
            try:
                self.rebind()
            except OSError:
                """There is no network now; there may be one before it is given up."""

    def _ping(self) -> None:
        self.quic.send_ping(next(self._pings))
        self._transmit()
        self._ping_later()

    def _ping_later(self) -> None:
        if self._options.keep_alive_s is not None and self._loss is None:
            self._pinging = self._loop.call_later(self._options.keep_alive_s, self._ping)

    # --- what comes of it -----------------------------------------------------------------------------

    def _take_events(self) -> None:
        while self._loss is None and (event := self.quic.next_event()) is not None:
            if isinstance(event, ConnectionTerminated):
                self._ended(event)
                return
            if isinstance(event, HandshakeCompleted):
                self._ping_later()
            if self._user is not None:
                self._user.quic_event(event)

    def _ended(self, event: ConnectionTerminated) -> None:
        if self._has_closed_here:
            loss = Loss.closed_here
        elif event.error_code == QuicErrorCode.INTERNAL_ERROR and event.reason_phrase == "Idle timeout":
            loss = Loss.unanswered
        elif event.error_code in _TLS_ALERTS and not self.quic.has_handshake:
            loss = Loss.no_handshake
        elif self.quic.is_ended_here:
            loss = Loss.broken
        else:
            loss = Loss.closed_by_server
        self._end(loss, event.error_code, event.reason_phrase)

    def _end(self, loss: Loss, code: int, reason: str) -> None:
        if self._loss is not None:
            return
        self._loss = loss
        for handle in (self._timer, self._sending, self._pinging):
            if handle is not None:
                handle.cancel()
        self._release(self._socket)
        self._release(self._socket_before)
        self._socket = self._socket_before = None
        self._over.set()
        if self._user is not None:
            self._user.lost(loss, code, reason)
