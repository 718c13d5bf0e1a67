"""A client of the native protocol that writes down every message with the time it came."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from gateway.cli.connection import ConnectionFailed, TransportChoice, connect
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire.messages import (
    Ack,
    Audio,
    AudioSpec,
    ErrorMessage,
    Finalize,
    FinalMessage,
    Finish,
    Finished,
    KeepAlive,
    Migrated,
    PartialMessage,
    Start,
    Started,
)
from tests.harness.waiting import DEADLINE_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from gateway.cli.connection import Connection
    from gateway.wire.messages import ServerMessage
    from tests.harness.region import Region

M = TypeVar("M")

PIECE_MS = 100
PCM_BYTES_PER_MS = 32


@dataclass(frozen=True, slots=True)
class Heard:
    message: ServerMessage
    at_s: float
    """On the monotonic clock."""


@dataclass
class Caller:
    """One session. `heard` grows while the session lives; `is_over` when the server closed it, or it broke."""

    connection: Connection
    heard: list[Heard] = field(default_factory=list)
    failure: ConnectionFailed | None = None
    is_over: bool = False
    spoken_at_s: list[tuple[int, float]] = field(default_factory=list)
    """For each message of audio: how many bytes had been sent with it, and when."""

    async def listen(self) -> None:
        try:
            async for message in self.connection.messages():
                self.heard.append(Heard(message, time.monotonic()))
        except ConnectionFailed as failed:
            self.failure = failed
        finally:
            self.is_over = True

    # --- what it says -------------------------------------------------------------------------------------

    async def start(self, start: Start | None = None) -> None:
        await self.connection.send(start or Start())

    async def say(self, data: bytes) -> None:
        sent = self.spoken_at_s[-1][0] if self.spoken_at_s else 0
        await self.connection.send(Audio(data))
        self.spoken_at_s.append((sent + len(data), time.monotonic()))

    async def say_all(self, pieces: Iterable[bytes], *, speed: float = 0.0) -> None:
        """`speed` times as fast as spoken, where each piece lasts `PIECE_MS`; 0 is as fast as it is taken.

        Returns early when the session is over.
        """
        began_s = time.monotonic()
        for number, piece in enumerate(pieces):
            if self.is_over:
                return
            if speed:
                await asyncio.sleep(max(0.0, began_s + number * PIECE_MS / 1_000 / speed - time.monotonic()))
            await self.say(piece)

    async def finalize(self, request_id: str = "") -> None:
        await self.connection.send(Finalize(request_id))

    async def keep_alive(self) -> None:
        await self.connection.send(KeepAlive())

    async def finish(self) -> None:
        await self.connection.send(Finish())

    # --- what it heard ------------------------------------------------------------------------------------

    def all_of(self, kind: type[M]) -> list[M]:
        return [heard.message for heard in self.heard if isinstance(heard.message, kind)]

    @property
    def started(self) -> bool:
        return bool(self.all_of(Started))

    @property
    def finals(self) -> list[FinalMessage]:
        return self.all_of(FinalMessage)

    @property
    def partials(self) -> list[PartialMessage]:
        return self.all_of(PartialMessage)

    @property
    def migrations(self) -> list[Migrated]:
        return self.all_of(Migrated)

    @property
    def words(self) -> list[str]:
        return [word.text for final in self.finals for word in final.words]

    @property
    def text(self) -> str:
        return " ".join(final.text for final in self.finals)

    @property
    def committed_ms(self) -> int:
        return max((ack.audio_ms for ack in self.all_of(Ack)), default=0)

    @property
    def finalized(self) -> list[str]:
        return [name for ack in self.all_of(Ack) for name in ack.finalized]

    @property
    def is_finished(self) -> bool:
        return bool(self.all_of(Finished))

    @property
    def error(self) -> ErrorMessage | None:
        errors = self.all_of(ErrorMessage)
        return errors[-1] if errors else None

    @property
    def last_message(self) -> ServerMessage | None:
        return self.heard[-1].message if self.heard else None

    def partial_delays_s(self) -> list[float]:
        """For each partial: how long after its last audio was sent it came. For 16 kHz PCM16 that is paced."""
        delays = []
        for heard in self.heard:
            if isinstance(heard.message, PartialMessage):
                through_bytes = heard.message.end_ms * PCM_BYTES_PER_MS
                sent_at_s = next((at_s for sent, at_s in self.spoken_at_s if sent >= through_bytes), None)
                if sent_at_s is not None:
                    delays.append(heard.at_s - sent_at_s)
        return delays

    async def until_started(self) -> None:
        await until(lambda: self.started or self.is_over, what="`started`")
        assert self.started, self.error or self.failure

    async def until_over(self, *, within_s: float = DEADLINE_S) -> None:
        await until(lambda: self.is_over, within_s=within_s, what="the end of the session")


@contextlib.asynccontextmanager
async def calling(
    region: Region, protocol: str = "ws", *, token: str | None = None, tenant: str = "dev"
) -> AsyncIterator[Caller]:
    """A connection whose messages are being written down; `start` is still to be sent."""
    given = region.token(tenant=tenant) if token is None else token
    async with connect(
        region.address(protocol),
        given,
        protocol=TransportChoice(protocol),
        timeout_s=DEADLINE_S,
        webtransport=webtransport_of(region),
    ) as connection:
        caller = Caller(connection)
        listening = asyncio.create_task(caller.listen())
        try:
            yield caller
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def webtransport_of(region: Region, *, has_datagrams: bool = False) -> WebTransportChoices | None:
    """None: the region has none."""
    sha256 = region.ready.get("webtransport_certificate_sha256")
    return None if sha256 is None else WebTransportChoices(CertificateHash.of(sha256), has_datagrams=has_datagrams)


async def transcribe(
    region: Region,
    pieces: Iterable[bytes],
    *,
    start: Start | None = None,
    protocol: str = "ws",
    speed: float = 0.0,
    within_s: float = 60.0,
) -> Caller:
    """A whole session, from `start` to its end."""
    async with calling(region, protocol) as caller:
        await caller.start(start)
        with contextlib.suppress(ConnectionFailed):  # the error message says why
            await caller.say_all(pieces, speed=speed)
            await caller.finish()
        await caller.until_over(within_s=within_s)
    return caller


def start_of(encoding: str, rate_hz: int = 16_000, *, channels: int = 1, channel: int = 0) -> Start:
    return Start(audio=AudioSpec(encoding, rate_hz, channels, channel))
