"""A connection on its way to a session: the handshake, who the server is, its settings, its answer to the CONNECT."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioquic.h3.connection import H3Connection, Setting
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.events import HandshakeCompleted

from gateway.webtransport.client import trust as trusting
from gateway.webtransport.client.connection import Loss
from gateway.webtransport.client.errors import CannotConnect, NotTrusted, RefusedByStatus
from gateway.webtransport.client.session import ClientSession
from gateway.webtransport.http3.drafts import TOKEN, client_headers, client_settings, server_supports
from gateway.webtransport.http3.offered_protocols import CHOICE_HEADER, OFFERS_HEADER, encode_offers, parse_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioquic.h3.events import Headers
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.client.connection import ClientConnection
    from gateway.webtransport.client.options import ClientOptions
    from gateway.webtransport.client.trust import Trust
    from gateway.webtransport.interface import Draft

_BAD_CERTIFICATE = 0x100 + 42
"""CRYPTO_ERROR (RFC 9001 §4.8) with the alert of TLS."""
_DISTRUST = range(0x100 + 42, 0x100 + 50)
"""The alerts about certificates (RFC 8446 §6.2), which this side raised where it has no handshake."""


class DraftHttp3(H3Connection):
    """aioquic's HTTP/3, with the settings of one draft of WebTransport and of no other."""

    def __init__(self, quic: QuicConnection, draft: Draft) -> None:
        self._draft = draft
        super().__init__(quic)

    def _get_local_settings(self) -> dict[int, int]:
        return {
            Setting.QPACK_MAX_TABLE_CAPACITY: self._max_table_capacity,
            Setting.QPACK_BLOCKED_STREAMS: self._blocked_streams,
            **client_settings(self._draft),
        }


class SessionRequest:
    """The user of a connection (gateway.webtransport.client.connection.ConnectionUser)."""

    def __init__(self, connection: ClientConnection, trust: Trust | None, draft: Draft, options: ClientOptions) -> None:
        self.connection = connection
        self._trust = trust
        self._draft = draft
        self._options = options
        self._http3: DraftHttp3 | None = None
        self._session: ClientSession | None = None
        self._session_id = -1
        self._answer: Headers | None = None
        self._failure: CannotConnect | None = None
        self._news = asyncio.Event()

    async def secured(self) -> SessionRequest:
        """Once the handshake is complete and the server the one that is meant. Raises CannotConnect."""
        try:
            try:
                self.connection.open(self)
            except OSError as error:
                raise CannotConnect(f"the address cannot be used: {error}") from None
            while self._http3 is None:
                await self._change()
        except BaseException:
            self.connection.abandon()
            raise
        return self

    async def ask(
        self, authority: str, path: str, headers: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> ClientSession:
        """The session, with its stream open. Raises CannotConnect and RefusedByStatus."""
        http3 = self._http3
        assert http3 is not None
        while http3.received_settings is None:
            await self._change()
        if not server_supports(http3.received_settings, self._draft):
            raise CannotConnect(f"the server speaks no WebTransport of {self._draft.value}")
        quic = self.connection.quic
        self._session_id = quic.get_next_available_stream_id()
        self._session = session = ClientSession(self._session_id, self.connection, http3, self._draft, self._options)
        fields = [
            (":method", "CONNECT"),
            (":protocol", TOKEN),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
            *client_headers(self._draft),
            *((OFFERS_HEADER, encode_offers(protocols)) for _ in protocols[:1]),
            *headers,
        ]
        http3.send_headers(self._session_id, [(name.lower().encode(), value.encode()) for name, value in fields])
        self.connection.send_soon()
        answer = await self._answered()
        session.protocol = parse_choice(answer.get(CHOICE_HEADER, "")) or ""
        await session.open_stream()
        return session

    async def _answered(self) -> dict[str, str]:
        while self._answer is None:
            await self._change()
        fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._answer)
        status = dict(fields).get(":status", "")
        if status != "200":
            raise RefusedByStatus(
                int(status) if status.isdecimal() else 0,
                tuple(field for field in fields if not field[0].startswith(":")),
            )
        return dict(fields)

    async def _change(self) -> None:
        """Raises CannotConnect: nothing comes any more."""
        if self._failure is not None:
            raise self._failure
        self._news.clear()
        await self._news.wait()
        if self._failure is not None:
            raise self._failure

    # --- what the connection says ---------------------------------------------------------------------

    def quic_event(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self._check_server()
        elif self._session is not None and self._session.takes(event):
            return
        elif self._http3 is not None:
            for said in self._http3.handle_event(event):
                if isinstance(said, HeadersReceived) and said.stream_id == self._session_id:
                    self._headers(said.headers)
                if isinstance(said, DataReceived | HeadersReceived) and said.stream_id == self._session_id:
                    self._body(said)
        self._news.set()

    def moved(self) -> None:
        if self._session is not None:
            self._session.moved()

    def lost(self, loss: Loss, code: int, reason: str) -> None:
        if self._failure is None:
            why = f"{loss.value}: {reason}" if reason else loss.value
            kind = NotTrusted if loss is Loss.no_handshake and code in _DISTRUST else CannotConnect
            self._failure = kind(why if loss is not Loss.closed_by_server else f"{why} (code {code:#x})")
        if self._session is not None:
            self._session.lost(loss, code, reason)
        self._news.set()

    def _check_server(self) -> None:
        try:
            trusting.check(self._trust, self.connection.quic.certificates)
        except CannotConnect as failure:
            self._failure = failure
            self.connection.close(_BAD_CERTIFICATE, str(failure))
        else:
            self._http3 = DraftHttp3(self.connection.quic, self._draft)

    def _headers(self, headers: Headers) -> None:
        """The first that are no interim answer."""
        if self._answer is None and not dict(headers).get(b":status", b"").startswith(b"1"):
            self._answer = headers

    def _body(self, said: DataReceived | HeadersReceived) -> None:
        data = said.data if isinstance(said, DataReceived) else b""
        if self._session is not None and (data or said.stream_ended):
            self._session.connect_data(data, is_end=said.stream_ended)
