"""Opens a WebTransport session over HTTP/3, as a Python program does it: `connect_webtransport`.

async with connect_webtransport(url, headers={"authorization": f"Bearer {token}"}) as session:
    await session.send(TEXT, b'{"type": "start"}')
    async for kind, payload in session.messages():
        ...
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aioquic.h3.connection import H3_ALPN, ErrorCode
from aioquic.quic.configuration import QuicConfiguration

from gateway.webtransport.client import trust as trusting
from gateway.webtransport.client.connection import ClientConnection
from gateway.webtransport.client.errors import CannotConnect, NoAnswer
from gateway.webtransport.client.options import ClientOptions
from gateway.webtransport.client.request import SessionRequest
from gateway.webtransport.interface import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from gateway.webtransport.client.connection import SocketAddress
    from gateway.webtransport.client.session import ClientSession
    from gateway.webtransport.client.trust import Trust

_HTTPS_PORT = 443
_NEXT_ADDRESS_S = 0.3
"""After so long without an answer the next address of the host is tried beside the one before."""
_STREAM_WINDOW_BYTES = 262_144
_MAX_DATAGRAM_FRAME_BYTES = 65_536

_STANDARD = ClientOptions()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a session is asked for."""

    host: str
    port: int
    authority: str
    path: str


def target_of(url: str) -> Target:
    """Raises ValueError: it is no https address with a host."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ValueError(f"{url} is not an address of WebTransport, which begins with https://")
    host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    shown = f"[{host}]" if ":" in host else host
    port = _HTTPS_PORT if parts.port is None else parts.port
    authority = shown if port == _HTTPS_PORT else f"{shown}:{port}"
    return Target(host, port, authority, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


@contextlib.asynccontextmanager
async def connect_webtransport(
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    protocols: Sequence[str] = (),
    trust: Trust | None = None,
    draft: Draft = Draft.draft02,
    timeout_s: float = 10.0,
    options: ClientOptions = _STANDARD,
) -> AsyncIterator[ClientSession]:
    """A session, from the server's acceptance to its end; leaving the block closes it.

    Args:
        url: `https://host:port/path?query`; an IPv6 address in brackets.
        headers: of the request for the session, such as `authorization`.
        protocols: offered in their order; `session.protocol` is the one that the server chose.
        trust: None: certification authorities of this system.
        draft: of WebTransport over HTTP/3. Only its settings are offered.
        timeout_s: for all until the server's answer. A server may never give one.

    Raises:
        CannotConnect: nobody answers there, is trusted, or speaks this draft.
        RefusedByStatus: the server refused the session.
        ValueError: of `url`.
    """
    target = target_of(url)
    fields = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    request: SessionRequest | None = None
    try:
        try:
            async with asyncio.timeout(timeout_s):
                request = await _secure(target, trust, draft, options)
                session = await request.ask(target.authority, target.path, fields, protocols)
        except TimeoutError:
            raise NoAnswer(f"no answer from {target.authority} within {timeout_s:g} s") from None
        try:
            yield session
        finally:
            await session.farewell()
    finally:
        if request is not None:
            request.connection.close(ErrorCode.H3_NO_ERROR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.close_timeout_s):
                    await request.connection.wait_over()
            request.connection.abandon()


async def _secure(target: Target, trust: Trust | None, draft: Draft, options: ClientOptions) -> SessionRequest:
    """A connection whose handshake is complete, to the first address of the host that answers. Raises CannotConnect."""
    waiting = deque(await _addresses(target))
    begun: dict[asyncio.Task[SessionRequest], SessionRequest] = {}
    running: set[asyncio.Task[SessionRequest]] = set()
    failures: list[CannotConnect] = []
    winner: SessionRequest | None = None
    try:
        while waiting or running:
            if waiting:
                family, address = waiting.popleft()
                connection = ClientConnection(_configuration(target, trust, options), address, family, options)
                request = SessionRequest(connection, trust, draft, options)
                task = asyncio.create_task(request.secured())
                begun[task] = request
                running.add(task)
            done, running = await asyncio.wait(
                running, timeout=_NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                failure = task.exception()
                if isinstance(failure, CannotConnect):
                    failures.append(failure)
                elif failure is not None:
                    raise failure
                else:
                    winner = winner or task.result()
            if winner is not None:
                return winner
    finally:
        # Without a wait, in which a cancellation would leave the winner to nobody.
        for task, request in begun.items():
            if request is not winner:
                task.cancel()
                request.connection.abandon()
    raise failures[0] if failures else CannotConnect(f"{target.host} has no address")


async def _addresses(target: Target) -> list[tuple[int, SocketAddress]]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise CannotConnect(f"{target.host} is not known: {error}") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))  # type: ignore[misc]


def _configuration(target: Target, trust: Trust | None, options: ClientOptions) -> QuicConfiguration:
    """Raises NotTrusted: there are no authorities to trust, or they cannot be read."""
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=H3_ALPN,
        server_name=target.host.partition("%")[0],
        idle_timeout=options.idle_timeout_s,
        max_datagram_size=options.datagram_bytes,
        max_datagram_frame_size=_MAX_DATAGRAM_FRAME_BYTES,
        max_stream_data=_STREAM_WINDOW_BYTES,
        secrets_log_file=options.secrets_log,
    )
    trusting.configure(configuration, trust)
    return configuration
