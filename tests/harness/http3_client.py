"""Plain requests over HTTP/3, as a browser makes them that was told so by `Alt-Svc`."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

if TYPE_CHECKING:
    from aioquic.quic.events import QuicEvent

_DEADLINE_S = 60.0


@dataclass
class Answer:
    """`status` is 0 where none came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Client(QuicConnectionProtocol):
    """One request."""

    http3: H3Connection
    answer: Answer
    over: asyncio.Event

    def begin(self) -> None:
        self.http3 = H3Connection(self._quic)
        self.answer = Answer()
        self.over = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        if not hasattr(self, "over"):
            return
        if isinstance(event, ConnectionTerminated):
            self.over.set()
        for told in self.http3.handle_event(event):
            if isinstance(told, HeadersReceived):
                fields = {name.decode(): value.decode() for name, value in told.headers}
                self.answer.status = int(fields.pop(":status"))
                self.answer.headers = fields
            elif isinstance(told, DataReceived):
                self.answer.body += told.data
            if isinstance(told, HeadersReceived | DataReceived) and told.stream_ended:
                self.over.set()

    def ask(self, method: str, authority: str, path: str, headers: dict[str, str]) -> None:
        pseudo = {":method": method, ":scheme": "https", ":authority": authority, ":path": path}
        fields = [(name.encode(), value.encode()) for name, value in (pseudo | headers).items()]
        self.http3.send_headers(self._quic.get_next_available_stream_id(), fields, end_stream=True)
        self.transmit()


async def ask_over_http3(url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """Whoever answers there is believed."""
    parts = urlsplit(url)
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    async with (
        asyncio.timeout(_DEADLINE_S),
        connect(
            parts.hostname or "", parts.port or 443, configuration=configuration, create_protocol=_Client
        ) as client,
    ):
        assert isinstance(client, _Client)
        client.begin()
        client.ask(method, parts.netloc, path, headers or {})
        await client.over.wait()
        return client.answer
