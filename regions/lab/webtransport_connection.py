"""One connection of a caller over WebTransport: a client of its own on aioquic, from docs/webtransport.md alone.

It speaks draft 02, as Chromium does, and takes a certificate by its hash. One stream carries the messages; audio goes
on it too, or in datagrams of 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ssl
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aioquic._buffer import Buffer, BufferReadError
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived, StreamReset
from cryptography.hazmat.primitives.serialization import Encoding

from regions.lab.connection import Refused, Unreachable
from regions.lab.speech import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Collection

    from aioquic.quic.connection import NetworkAddress
    from aioquic.quic.events import QuicEvent

USUAL_PATIENCE_S = 3.0
"""For an answer. A network that lets no UDP through says nothing: docs/protocol.md."""
_CLOSE_S = 0.2
_POLL_S = 0.005
_TEXT, _AUDIO, _MARK = 1, 2, 3
_PLACE = struct.Struct(">IQ")
_DATAGRAM_BYTES = 20 * BYTES_PER_MS
_MOST_UNSENT_DATAGRAMS = 64
_MAX_DATAGRAM_FRAME_BYTES = 65_536
_UDP_PAYLOAD_BYTES = 1_232
_CLOSE_CAPSULE = 0x2843
_LEAST_RESET_BYTES, _RESET_TOKEN_BYTES = 21, 16
_LONG_HEADER_BIT = 0x80


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session was ended by its gateway: as a WebSocket's close frame. `code` None: by nobody's word."""

    code: int | None
    text: str = ""


class MessageCutter:
    """Bytes of the stream in, whole messages out: a byte for the kind, three for the length, the payload."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        self._buffer += data
        found = []
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[1:4], "big")
            if len(self._buffer) < end:
                break
            found.append((self._buffer[0], bytes(self._buffer[4:end])))
            del self._buffer[:end]
        return found


def framed(kind: int, payload: bytes) -> bytes:
    """One message of the stream."""
    return bytes([kind]) + len(payload).to_bytes(3, "big") + payload


def close_in(capsules: bytes) -> SessionEnd | None:
    """What the capsule that closes a session says, where it is whole and among these (RFC 9297, draft 02 §4.6)."""
    buffer = Buffer(data=capsules)
    try:
        while not buffer.eof():
            kind, length = buffer.pull_uint_var(), buffer.pull_uint_var()
            value = buffer.pull_bytes(length)
            if kind == _CLOSE_CAPSULE and length >= 4:
                return SessionEnd(int.from_bytes(value[:4], "big"), value[4:].decode(errors="replace"))
    except BufferReadError:
        return None
    return None


class _Client(QuicConnectionProtocol):
    """The QUIC connection, with one session on it."""

    def __init__(self, quic: QuicConnection, stream_handler: Any = None) -> None:
        super().__init__(quic, stream_handler)
        self.news = asyncio.Event()
        self.http3: H3Connection | None = None
        self.status = 0
        self.is_over = False
        self.has_all = False
        """The gateway's half of the stream is over."""
        self.end: SessionEnd | None = None
        self.heard: deque[str] = deque()
        self.session_id = self.stream_id = -1
        self._cutter = MessageCutter()
        self._capsules = b""

    def ask(self, authority: str, path: str, token: str) -> None:
        """For a session."""
        http3 = self.http3
        if http3 is None:
            raise Unreachable("no secure connection")
        self.session_id = self._quic.get_next_available_stream_id()
        fields = {
            ":method": "CONNECT",
            ":scheme": "https",
            ":authority": authority,
            ":path": path,
            ":protocol": "webtransport",
            "sec-webtransport-http3-draft02": "1",
            "authorization": f"Bearer {token}",
        }
        http3.send_headers(self.session_id, [(name.encode(), value.encode()) for name, value in fields.items()])
        self.transmit()

    def open_stream(self) -> None:
        if self.http3 is not None:
            self.stream_id = self.http3.create_webtransport_stream(self.session_id)

    def write(self, data: bytes, *, is_end: bool = False) -> None:
        self._quic.send_stream_data(self.stream_id, data, end_stream=is_end)
        self.transmit()

    def write_datagram(self, payload: bytes) -> None:
        if self.http3 is not None:
            self.http3.send_datagram(self.session_id, payload)
            self.transmit()

    @property
    def waiting_datagrams(self) -> int:
        return len(self._quic._datagrams_pending)

    @property
    def certificate_sha256(self) -> str:
        """Of the gateway, in hexadecimal; that it has the key is proven once the handshake is complete."""
        certificate = self._quic.tls._peer_certificate
        return "" if certificate is None else hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()

    def forget(self) -> None:
        """Without another packet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def change(self) -> None:
        self.news.clear()
        await self.news.wait()

    # --- what comes -------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        if isinstance(data, bytes) and self._is_stateless_reset(data):
            self._finish(None)
            return
        super().datagram_received(data, addr)

    def _is_stateless_reset(self, data: bytes) -> bool:
        """Whether the gateway's edge does not know this connection (RFC 9000 §10.3)."""
        if len(data) < _LEAST_RESET_BYTES or data[0] & _LONG_HEADER_BIT:
            return False
        ids = (self._quic._peer_cid, *self._quic._peer_cid_available)
        tokens = [each.stateless_reset_token for each in ids if each.stateless_reset_token]
        return any(hmac.compare_digest(token, data[-_RESET_TOKEN_BYTES:]) for token in tokens)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""
        del exc
        self._finish(None)

    def quic_event_received(self, event: QuicEvent) -> None:
        match event:
            case HandshakeCompleted():
                self.http3 = H3Connection(self._quic, enable_webtransport=True)
            case ConnectionTerminated():
                self._finish(None)
            case StreamDataReceived(data=data, end_stream=is_end, stream_id=stream_id) if stream_id == self.stream_id:
                self.heard.extend(payload.decode() for kind, payload in self._cutter.feed(data) if kind == _TEXT)
                self.has_all = self.has_all or is_end
            case StreamReset(stream_id=stream_id) if stream_id in (self.stream_id, self.session_id):
                self._finish(None)
            case _:
                self._http_event(event)
        self.news.set()

    def _http_event(self, event: QuicEvent) -> None:
        for said in [] if self.http3 is None else self.http3.handle_event(event):
            if not isinstance(said, HeadersReceived | DataReceived) or said.stream_id != self.session_id:
                continue
            if isinstance(said, HeadersReceived):
                self.status = self.status or int(dict(said.headers)[b":status"])
            else:
                self._capsules += said.data
                self.end = self.end or close_in(self._capsules)
            if said.stream_ended or self.end is not None:
                self._finish(self.end)

    def _finish(self, end: SessionEnd | None) -> None:
        self.end = self.end or end
        self.is_over = True
        self.news.set()


class WebTransportConnection:
    """Made by `open_webtransport`. `end`: how the gateway ended the session, once it has."""

    def __init__(self, client: _Client, *, has_datagrams: bool) -> None:
        self._client = client
        self._has_datagrams = has_datagrams
        self._sequence = self._sample = 0

    @property
    def end(self) -> SessionEnd | None:
        return self._client.end

    async def say(self, text: str) -> None:
        if self._has_datagrams and self._sequence:
            await self._until_datagrams_wait(below=1)
            self._write(framed(_MARK, _PLACE.pack(self._sequence, self._sample)))
        self._write(framed(_TEXT, text.encode()))

    async def send_audio(self, pcm16: bytes) -> None:
        if not self._has_datagrams:
            self._write(framed(_AUDIO, pcm16))
            return
        for at in range(0, len(pcm16), _DATAGRAM_BYTES):
            piece = pcm16[at : at + _DATAGRAM_BYTES]
            await self._until_datagrams_wait(below=_MOST_UNSENT_DATAGRAMS)
            self._client.write_datagram(_PLACE.pack(self._sequence, self._sample) + piece)
            self._sequence += 1
            self._sample += len(piece) // 2

    async def hear(self) -> str | None:
        client = self._client
        while not client.heard:
            if client.is_over:
                return None
            if client.has_all:
                client.has_all = False
                client.write(b"", is_end=True)  # all is read: the gateway closes the session now, with its code
            await client.change()
        return client.heard.popleft()

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close()
            async with asyncio.timeout(_CLOSE_S):
                await self._client.wait_closed()
        self._client.forget()

    def _write(self, data: bytes) -> None:
        self._check()
        self._client.write(data)

    async def _until_datagrams_wait(self, *, below: int) -> None:
        """For the network. What is on the stream could overtake them there."""
        self._check()
        while self._client.waiting_datagrams >= below:
            await asyncio.sleep(_POLL_S)
            self._check()

    def _check(self) -> None:
        if self._client.is_over:
            raise ConnectionResetError("the session is over")


async def open_webtransport(
    url: str,
    token: str,
    *,
    hashes: Collection[str],
    has_datagrams: bool = False,
    patience_s: float = USUAL_PATIENCE_S,
) -> WebTransportConnection:
    """A session, once the gateway has accepted it.

    Args:
        hashes: SHA-256 of the certificates that are taken, in hexadecimal.

    Raises:
        Refused: with another status than 200. Most refusals are messages in the session.
        Unreachable: no answer within `patience_s`, or another certificate.
    """
    parts = urlsplit(url)
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=H3_ALPN,
        server_name=parts.hostname,
        verify_mode=ssl.CERT_NONE,
        max_datagram_frame_size=_MAX_DATAGRAM_FRAME_BYTES,
        max_datagram_size=_UDP_PAYLOAD_BYTES,
    )
    loop = asyncio.get_running_loop()
    address = (parts.hostname or "", parts.port or 443)
    _, client = await loop.create_datagram_endpoint(
        lambda: _Client(QuicConnection(configuration=configuration)), local_addr=("0.0.0.0", 0)
    )
    connection = WebTransportConnection(client, has_datagrams=has_datagrams)
    try:
        async with asyncio.timeout(patience_s):
            client.connect(address)
            await _accepted(client, parts.netloc, parts.path, token, hashes)
    except TimeoutError:
        client.forget()
        raise Unreachable(f"unreachable: no answer to WebTransport within {patience_s:g} s") from None
    except BaseException:
        await connection.close()
        raise
    return connection


async def _accepted(client: _Client, authority: str, path: str, token: str, hashes: Collection[str]) -> None:
    while client.http3 is None:
        if client.is_over:
            raise Unreachable("unreachable: no secure connection")
        await client.change()
    if client.certificate_sha256 not in hashes:
        raise Unreachable("unreachable: the gateway has another certificate")
    client.ask(authority, path, token)
    while not client.status:
        if client.is_over:
            raise Unreachable("unreachable: the connection ended before the answer")
        await client.change()
    if client.status != 200:
        raise Refused(client.status)
    client.open_stream()
