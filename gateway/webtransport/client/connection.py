"""A client's QUIC connection on asyncio: its socket, its timers, and the news that it is lost.

Beside what aioquic's does: one transmit a turn of the loop, stateless resets (RFC 9000 §10.3), a server whose port
nobody listens on any more, an end that is told as soon as it is known, and another local port in mid-connection.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode

from gateway.webtransport.client.held_connection import HeldQuicConnection

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import QuicEvent

_TLS_ALERTS = range(0x100, 0x200)

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Loss(Enum):
    """How a connection ended."""

    closed_here = "this side closed it"
    closed_by_server = "the server closed it"
    idle = "the server did not answer any more"
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


class ClientConnection(asyncio.DatagramProtocol):
    """One connection. `user` hears of it from `open` on."""

    def __init__(
        self, configuration: QuicConfiguration, address: SocketAddress, family: int, *, keep_alive_s: float | None
    ) -> None:
        self.quic = HeldQuicConnection(configuration=configuration)
        self.user: ConnectionUser | None = None
        self._address = address
        self._family = family
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._sending: asyncio.Handle | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._pings = itertools.count(1)
        self._loss: Loss | None = None
        self._has_closed_here = False
        self._over = asyncio.Event()

    # --- the socket -----------------------------------------------------------------------------------

    async def open(self, user: ConnectionUser) -> None:
        """Send the first packet. Raises OSError: the address cannot be used."""
        self.user = user
        self._transport = await self._bind()
        self.quic.connect(self._address, now=self._loop.time())
        self._transmit()

    async def rebind(self, *, has_new_id: bool = False) -> None:
        """Go on from another local port. Raises OSError.

        Args:
            has_new_id: under another connection id too, as a client does that moves on purpose; without, as when a
                router on the way forgets what it translates.
        """
        before, self._transport = self._transport, await self._bind()
        if before is not None:
            before.close()
        if has_new_id:
            self.quic.change_connection_id()
        self.quic.send_ping(next(self._pings))
        self._transmit()

    @property
    def local_address(self) -> tuple[str, int]:
        if self._transport is None:
            return ("", 0)
        host, port, *_ = self._transport.get_extra_info("sockname")
        return (host, port)

    async def _bind(self) -> asyncio.DatagramTransport:
        """Connected, so that the system tells when nobody listens there."""
        raw = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            raw.setblocking(False)
            raw.connect(self._address)
            transport, _ = await self._loop.create_datagram_endpoint(lambda: _Receiver(self), sock=raw)
        except BaseException:
            raw.close()
            raise
        return transport

    def received(self, data: bytes) -> None:
        if self._loss is not None:
            return
        if self.quic.is_stateless_reset(data):
            self._end(Loss.reset, 0, "")
            return
        self.quic.receive_datagram(data, self._address, now=self._loop.time())
        self._take_events()
        self.send_soon()

    def refused(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is self._transport:
            self._end(Loss.unreachable, 0, "")

    # --- sending --------------------------------------------------------------------------------------

    def send_soon(self) -> None:
        """At the end of this turn of the loop, with all else of the turn."""
        if self._sending is None and self._loss is None:
            self._sending = self._loop.call_soon(self._transmit)

    def close(self, code: int, reason: str = "") -> None:
        self._has_closed_here = True
        self.quic.close(error_code=code, frame_type=None, reason_phrase=reason)
        self.send_soon()

    async def wait_over(self) -> None:
        await self._over.wait()

    def abandon(self) -> None:
        """Forget it, without another packet."""
        self._end(Loss.closed_here, 0, "")

    def _transmit(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._loss is not None or self._transport is None:
            return
        for data, _ in self.quic.datagrams_to_send(now=self._loop.time()):
            self._transport.sendto(data)
        if self.quic.end is not None:
            self._ended(self.quic.end)  # what would follow is only for packets that are late
            return
        self._set_timer()
        if self.user is not None:
            self.user.moved()

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

    def _ping(self) -> None:
        self.quic.send_ping(next(self._pings))
        self._transmit()
        self._ping_later()

    def _ping_later(self) -> None:
        if self._keep_alive_s is not None and self._loss is None:
            self._pinging = self._loop.call_later(self._keep_alive_s, self._ping)

    # --- what comes of it -----------------------------------------------------------------------------

    def _take_events(self) -> None:
        while self._loss is None and (event := self.quic.next_event()) is not None:
            if isinstance(event, ConnectionTerminated):
                self._ended(event)
                return
            if isinstance(event, HandshakeCompleted):
                self._ping_later()
            if self.user is not None:
                self.user.quic_event(event)

    def _ended(self, event: ConnectionTerminated) -> None:
        if self._has_closed_here:
            loss = Loss.closed_here
        elif event.error_code == QuicErrorCode.INTERNAL_ERROR and event.reason_phrase == "Idle timeout":
            loss = Loss.idle
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
        if self._transport is not None:
            self._transport.close()
        self._over.set()
        if self.user is not None:
            self.user.lost(loss, code, reason)


class _Receiver(asyncio.DatagramProtocol):
    """One socket of a connection: after `rebind` what still comes to the one before is heard too."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, _address: object) -> None:
        self._connection.received(data)

    def error_received(self, error: Exception) -> None:
        if isinstance(error, ConnectionRefusedError):
            self._connection.refused(self._transport)
