"""A listener in front of an HTTP server that asks every connection for a PROXY header, before TLS and before HTTP.

The header is read from the socket itself, to its last byte and not one more, so that what follows (TLS or HTTP) begins
where the loop takes the socket over. From there on nothing stands between the socket and aiohttp: the connection costs
what any other does. Its peer is the client that the header names, for whoever asks for `peername`.

Whoever is no trusted proxy, sends something else, or does not send it in time, is closed without an answer: counted,
and told once a second for all of them, without an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import structlog

from gateway.transports.proxy_protocol import PREFIX_BYTES, MalformedHeader, header_bytes, read_header

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import Counter

    from gateway.admission.client_address import TrustedProxies
    from gateway.transports.proxy_protocol import Client

log = structlog.get_logger("gateway")

_TOLD_EVERY_S = 1.0
_OUT_OF_SOCKETS_WAIT_S = 1.0
"""As long as asyncio's own listener waits then."""


class ProxyHeaderOutcome(StrEnum):
    """What became of a connection before its first byte of TLS or HTTP."""

    accepted = "accepted"
    own = "own"
    """The proxy's own connection, such as a check of our health, or one of a client without an IP address."""
    untrusted = "untrusted"
    malformed = "malformed"
    late = "late"
    gone = "gone"
    """Closed before the header was whole; many checks of health do so."""


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """From whom a header is taken, how long it may take, where outcomes are counted."""

    trusted: TrustedProxies
    timeout_ms: int
    outcomes: Counter


@contextlib.asynccontextmanager
async def listening(
    make_protocol: Callable[[], asyncio.BaseProtocol],
    sockets: list[socket.socket],
    tls: ssl.SSLContext | None,
    rules: ProxyRules,
) -> AsyncIterator[None]:
    """Accept connections on bound sockets, and close them in the end. Connections that were handed over go on."""
    door = _Door(make_protocol, tls, rules)
    async with asyncio.TaskGroup() as tasks:
        accepting = [tasks.create_task(door.accept_for_ever(listener, tasks)) for listener in sockets]
        try:
            yield
        finally:
            for task in accepting:
                task.cancel()
            door.close()
            for listener in sockets:
                listener.close()


async def bound_sockets(host: str, port: int, *, backlog: int) -> list[socket.socket]:
    """Listening sockets for every address of the host. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listener = socket.create_server(address, family=family, backlog=backlog)
            sockets.append(listener)
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


class ClientTransport:
    """A connection's transport, whose peer is the client behind the proxy. Everything else is the transport's own; each
    method is found once and then called as directly as before.
    """

    def __init__(self, transport: asyncio.Transport, client: Client) -> None:
        self._transport = transport
        self._client = client

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._client if name == "peername" else self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._transport, name)
        setattr(self, name, found)
        return found


class _Door:
    def __init__(
        self, make_protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None, rules: ProxyRules
    ) -> None:
        self._make_protocol = make_protocol
        self._tls = tls
        self._rules = rules
        self._entering: set[asyncio.Task[None]] = set()
        self._num_untold = 0
        self._told_at_s: float | None = None

    async def accept_for_ever(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno != errno.ECONNABORTED:  # of which the next connection knows nothing
                    await asyncio.sleep(_OUT_OF_SOCKETS_WAIT_S)
                continue
            if not self._rules.trusted.trusts(str(peer[0])):
                self._turn_away(connection, ProxyHeaderOutcome.untrusted)
                continue
            task = tasks.create_task(self._enter(connection))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    def close(self) -> None:
        for task in self._entering:
            task.cancel()

    async def _enter(self, connection: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._rules.timeout_ms / 1_000):
                client = read_header(await _read_exactly_a_header(connection))
        except TimeoutError:
            return self._turn_away(connection, ProxyHeaderOutcome.late)
        except MalformedHeader:
            return self._turn_away(connection, ProxyHeaderOutcome.malformed)
        except OSError:
            return self._turn_away(connection, ProxyHeaderOutcome.gone)
        except asyncio.CancelledError:
            connection.close()
            raise
        outcome = ProxyHeaderOutcome.own if client is None else ProxyHeaderOutcome.accepted
        self._rules.outcomes.labels(outcome.value).inc()
        try:
            await self._hand_over(connection, client)
        except OSError:
            pass  # TLS failed or took too long, or the client is gone: the loop has closed the connection
        except Exception:  # a fault of one connection must not end the others
            connection.close()
            log.exception("proxy_header.failed")

    async def _hand_over(self, connection: socket.socket, client: Client | None) -> None:
        loop = asyncio.get_running_loop()
        make = self._make_protocol if client is None else lambda: _Introduction(self._make_protocol, client)
        timeout_s = None if self._tls is None else self._rules.timeout_ms / 1_000
        await loop.connect_accepted_socket(make, connection, ssl=self._tls, ssl_handshake_timeout=timeout_s)

    def _turn_away(self, connection: socket.socket, outcome: ProxyHeaderOutcome) -> None:
        connection.close()
        self._rules.outcomes.labels(outcome.value).inc()
        if outcome is ProxyHeaderOutcome.gone:
            return
        self._num_untold += 1
        now_s = asyncio.get_running_loop().time()
        if self._told_at_s is None or now_s - self._told_at_s >= _TOLD_EVERY_S:
            log.warning("proxy_header.refused", outcome=outcome.value, times=self._num_untold)
            self._told_at_s, self._num_untold = now_s, 0


class _Introduction(asyncio.Protocol):
    """Gives a new connection to its protocol, under the name of its client, and is out of the way."""

    def __init__(self, make_protocol: Callable[[], asyncio.BaseProtocol], client: Client) -> None:
        self._make_protocol = make_protocol
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        whole = cast("asyncio.Transport", transport)
        protocol = self._make_protocol()
        whole.set_protocol(protocol)
        protocol.connection_made(cast("asyncio.BaseTransport", ClientTransport(whole, self._client)))


async def _read_exactly_a_header(connection: socket.socket) -> bytes:
    """Raises OSError: the connection ended before."""
    prefix = await _read_exactly(connection, PREFIX_BYTES)
    return prefix + await _read_exactly(connection, header_bytes(prefix) - PREFIX_BYTES)


async def _read_exactly(connection: socket.socket, num_bytes: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < num_bytes:
        more = await loop.sock_recv(connection, num_bytes - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
