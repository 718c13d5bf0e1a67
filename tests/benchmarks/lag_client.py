"""The process whose sessions speak in real time over a bad network: how late are the results, how much audio is lost?

Reads one `LagOrder` as JSON on standard input and prints one `LagResult` as JSON. WebSocket runs over the kernel's TCP,
WebTransport over the client library of `patchbay transcribe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Literal, Protocol

import aiohttp
import msgspec
import uvloop

from gateway.transports.websocket import PATH
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.session import ClientSession
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire import audio_datagrams, stream_messages
from gateway.wire.codec import decode_server, encode_client
from gateway.wire.messages import AudioLost, ErrorMessage, PartialMessage, Start, Started
from tests.benchmarks.measures import quantile
from tests.benchmarks.pacing import MESSAGE_MS, MESSAGES_PER_BLOCK
from tests.benchmarks.websocket_session import AUDIO_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BLOCK_MS = MESSAGE_MS * MESSAGES_PER_BLOCK
_OPEN_S = 20.0
_LAST_RESULTS_S = 3.0
_BYTES_PER_SAMPLE = 2
_DATAGRAM_BYTES = 534 * _BYTES_PER_SAMPLE
"""Three for each 100 ms."""
_AUDIO = (1_000).to_bytes(2, "little") * (AUDIO_BYTES // _BYTES_PER_SAMPLE)
"""100 ms."""


class LagOrder(msgspec.Struct, frozen=True, kw_only=True):
    way: Literal["websocket", "streams", "datagrams"]
    host: str
    port: int
    certificate_sha256: str
    token: str
    sessions: int
    messages: int
    """100 ms each, of each session."""
    piece_ms: int
    """Audio is sent in pieces of so much, each when its last sample is spoken. Divides 100 ms."""


class LagResult(msgspec.Struct, frozen=True, kw_only=True):
    """Lag: from sending the last of a half second's audio until the partial that holds it."""

    results: int
    expected_results: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    most_ms: float
    audio_ms: int
    lost_ms: int
    """What the server called lost (`audio_lost`)."""
    broken: int


class Speaker(Protocol):
    """A session's connection, by any way."""

    async def text(self, text: str) -> None: ...

    async def audio(self, piece: bytes) -> None:
        """What was spoken next."""

    def texts(self) -> AsyncIterator[str]: ...


class OverWebSocket:
    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection

    async def text(self, text: str) -> None:
        await self._connection.send_str(text)

    async def audio(self, piece: bytes) -> None:
        await self._connection.send_bytes(piece)

    async def texts(self) -> AsyncIterator[str]:
        async for message in self._connection:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield message.data


class OverWebTransport:
    def __init__(self, session: ClientSession, *, in_datagrams: bool) -> None:
        self._session = session
        self._in_datagrams = in_datagrams
        self._sequence = self._sample = 0

    async def text(self, text: str) -> None:
        await self._session.send(stream_messages.TEXT, text.encode())

    async def audio(self, piece: bytes) -> None:
        if not self._in_datagrams:
            await self._session.send(stream_messages.AUDIO, piece)
            return
        for at in range(0, len(piece), _DATAGRAM_BYTES):
            audio = piece[at : at + _DATAGRAM_BYTES]
            self._session.send_datagram(audio_datagrams.encode_datagram(self._sequence, self._sample, audio))
            self._sequence += 1
            self._sample += len(audio) // _BYTES_PER_SAMPLE

    async def texts(self) -> AsyncIterator[str]:
        async for kind, payload in self._session.messages():
            if kind == stream_messages.TEXT:
                yield payload.decode()


class LagSession:
    """Speaks, and writes down how late each partial is."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._sent_at_s: list[float] = []
        self.lags_ms: list[float] = []
        self.lost_ms = 0
        self.is_broken = False
        self.started = asyncio.Event()

    async def listen(self) -> None:
        async for text in self._speaker.texts():
            match decode_server(text):
                case PartialMessage(end_ms=end_ms) if end_ms % _BLOCK_MS == 0:
                    self._heard(end_ms // _BLOCK_MS)
                case Started():
                    self.started.set()
                case AudioLost(start_ms=start_ms, end_ms=end_ms):
                    self.lost_ms += end_ms - start_ms
                case ErrorMessage():
                    break
                case _:
                    pass
        self.is_broken = True

    def _heard(self, blocks: int) -> None:
        if blocks * MESSAGES_PER_BLOCK <= len(self._sent_at_s):
            self.lags_ms.append((time.monotonic() - self._sent_at_s[blocks * MESSAGES_PER_BLOCK - 1]) * 1_000)

    async def speak(self, messages: int, begin_at_s: float, piece_ms: int) -> None:
        piece = _AUDIO[: len(_AUDIO) * piece_ms // MESSAGE_MS]
        for end_ms in range(piece_ms, messages * MESSAGE_MS + 1, piece_ms):
            await asyncio.sleep(max(0.0, begin_at_s + end_ms / 1_000 - time.monotonic()))
            if end_ms % MESSAGE_MS == 0:
                self._sent_at_s.append(time.monotonic())
            await self._speaker.audio(piece)


@contextlib.asynccontextmanager
async def _opened(order: LagOrder, http: aiohttp.ClientSession) -> AsyncIterator[Speaker]:
    headers = {"Authorization": f"Bearer {order.token}"}
    if order.way == "websocket":
        async with http.ws_connect(f"ws://{order.host}:{order.port}{PATH}", headers=headers) as connection:
            yield OverWebSocket(connection)
        return
    url, trust = f"https://{order.host}:{order.port}{PATH}", CertificateHash((order.certificate_sha256,))
    async with connect_webtransport(url, headers=headers, trust=trust, timeout_s=_OPEN_S) as session:
        yield OverWebTransport(session, in_datagrams=order.way == "datagrams")


async def _measure(order: LagOrder) -> LagResult:
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        sessions: list[LagSession] = []
        listening: list[asyncio.Task[None]] = []
        for _ in range(order.sessions):
            speaker = await stack.enter_async_context(_opened(order, http))
            session = LagSession(speaker)
            listening.append(asyncio.create_task(session.listen()))
            await speaker.text(encode_client(Start()))
            async with asyncio.timeout(_OPEN_S):
                await session.started.wait()
            sessions.append(session)
        begin_at_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number, session in enumerate(sessions):
                offset_s = number / len(sessions) * MESSAGE_MS / 1_000
                tasks.create_task(session.speak(order.messages, begin_at_s + offset_s, order.piece_ms))
        await _until_all_heard(sessions, order.messages // MESSAGES_PER_BLOCK)
        broken = sum(session.is_broken for session in sessions)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    lags_ms = sorted(lag_ms for session in sessions for lag_ms in session.lags_ms)
    return LagResult(
        results=len(lags_ms),
        expected_results=order.sessions * (order.messages // MESSAGES_PER_BLOCK),
        p50_ms=quantile(lags_ms, 0.5),
        p90_ms=quantile(lags_ms, 0.9),
        p99_ms=quantile(lags_ms, 0.99),
        most_ms=quantile(lags_ms, 1.0),
        audio_ms=order.sessions * order.messages * MESSAGE_MS,
        lost_ms=sum(session.lost_ms for session in sessions),
        broken=broken,
    )


async def _until_all_heard(sessions: list[LagSession], blocks: int) -> None:
    due_at_s = time.monotonic() + _LAST_RESULTS_S
    while time.monotonic() < due_at_s and any(len(session.lags_ms) < blocks for session in sessions):
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=LagOrder)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_measure(order))).decode() + "\n")
