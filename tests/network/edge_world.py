"""A region with a WebTransport edge, and clients that reach it over a bad network, in streams and in datagrams."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from gateway.cli.connection import TransportChoice, connect
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.transports.websocket import PATH
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire import audio_datagrams, stream_messages
from gateway.wire.codec import decode_server, encode_client
from gateway.wire.messages import Audio, ClientMessage, Finish, Start
from tests.harness.caller import Caller
from tests.harness.recordings import cut
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.webtransport.client.session import ClientSession
    from gateway.wire.messages import ServerMessage
    from tests.harness.region import Region

SAMPLES_PER_MS = 16
DATAGRAM_MS = 20
DATAGRAM_BYTES = 2 * SAMPLES_PER_MS * DATAGRAM_MS
_BLOCK_SAMPLES = 8_000
_EDGE_COMMAND = "gateway.webtransport"


def words_of(pcm16: bytes, *, lost_ms: list[tuple[int, int]] | None = None) -> list[str]:
    """What the scripted engine says: one word for each half second, with the place and value of its first sample.

    Args:
        lost_ms: what the network swallowed, where there is silence.
    """
    lost = [(start * SAMPLES_PER_MS, end * SAMPLES_PER_MS) for start, end in lost_ms or []]
    words = []
    for at in range(0, len(pcm16) // 2, _BLOCK_SAMPLES):
        is_lost = any(start <= at < end for start, end in lost)
        value = 0 if is_lost else int.from_bytes(pcm16[2 * at : 2 * at + 2], "little", signed=True)
        words.append(f"w{at}v{value}")
    return words


@dataclass(frozen=True, slots=True)
class EdgeWorld:
    """`region` runs with `--webtransport`."""

    region: Region

    @property
    def port(self) -> int:
        return urlsplit(str(self.region.ready["webtransport"])).port or 0

    @property
    def trust(self) -> CertificateHash:
        return CertificateHash((str(self.region.ready["webtransport_certificate_sha256"]),))

    @property
    def edge_pid(self) -> int:
        """Of its edge process, which a killed one is followed by."""
        children = psutil.Process(self.region.gateway_pid).children()
        pids = [child.pid for child in children if child.is_running() and _EDGE_COMMAND in _command_of(child)]
        assert pids, "no edge process runs"
        return max(pids)

    def edge_rss_bytes(self) -> int:
        return int(psutil.Process(self.edge_pid).memory_info().rss)

    def url(self, port: int | None = None) -> str:
        """`port`: of a relay in between."""
        return f"https://127.0.0.1:{port or self.port}{PATH}"

    @contextlib.asynccontextmanager
    async def calling(
        self, *, port: int | None = None, choices: WebTransportChoices | None = None
    ) -> AsyncIterator[Caller]:
        """A session on the stream, or as `choices` say."""
        choices = choices or WebTransportChoices(trust=self.trust)
        url, token = self.url(port), self.region.token()
        async with connect(url, token, protocol=TransportChoice.webtransport, webtransport=choices) as connection:
            caller = Caller(connection)
            listening = asyncio.create_task(caller.listen())
            try:
                yield caller
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def session(self, *, port: int | None = None) -> AsyncIterator[ClientSession]:
        """The session below that, for who must see its packets."""
        headers = {"authorization": f"Bearer {self.region.token()}"}
        async with connect_webtransport(self.url(port), headers=headers, trust=self.trust) as session:
            yield session


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


class DatagramSpeaker:
    """A connection whose audio goes in datagrams of 20 ms each."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._sequence = self._sample = 0

    async def send(self, message: ClientMessage) -> None:
        if isinstance(message, Audio):
            for piece in cut(message.data, DATAGRAM_BYTES):
                await self._session.datagram_room()
                assert self._session.send_datagram(audio_datagrams.encode_datagram(self._sequence, self._sample, piece))
                self._sequence += 1
                self._sample += len(piece) // 2
            return
        if isinstance(message, Finish):
            # On the stream it could overtake datagrams that wait for room in the network.
            await until(lambda: not self._session.quic.waiting_datagrams, what="the last datagrams to leave")
            mark = audio_datagrams.encode_mark(self._sequence, self._sample)
            await self._session.send(stream_messages.MARK, mark)
        await self._session.send(stream_messages.TEXT, encode_client(message).encode())

    async def messages(self) -> AsyncIterator[ServerMessage]:
        async for kind, payload in self._session.messages():
            assert kind == stream_messages.TEXT
            yield decode_server(payload)


async def speak(caller: Caller, pieces: list[bytes], *, speed: float, within_s: float = 20.0) -> None:
    """A whole session."""
    await caller.start(Start())
    await caller.until_started()
    await caller.say_all(pieces, speed=speed)
    await caller.finish()
    await until(lambda: caller.is_over, within_s=within_s, what="the end of the session")


def merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, without seams."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
