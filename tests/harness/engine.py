"""An engine process, links to it as a gateway has them, and streams whose events are written down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    Lost,
    OpenStream,
    PartialResult,
    Progress,
    Refused,
    StreamOptions,
)
from engines.proto import engine_pb2
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings
from tests.harness.recordings import BYTES_PER_SAMPLE
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engines.interface import StreamEvent
    from tests.harness.region import Region

ROOT = Path(__file__).parents[2]
_READY_S = 120.0
_STOP_S = 15.0
_CONNECTED_S = 20.0
_DESCRIBE = "/patchbay.engine.v1.Engine/Describe"


async def describe(address: str) -> engine_pb2.Description:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            _DESCRIBE,
            request_serializer=engine_pb2.DescribeRequest.SerializeToString,
            response_deserializer=engine_pb2.Description.FromString,
        )
        description: engine_pb2.Description = await call(engine_pb2.DescribeRequest())
    return description


async def engine_in_use(region: Region) -> int:
    """The process of an engine of the region that has a stream: of equal ones, one is drawn by lot."""
    for engine in region.running()["engines"]:
        if (await describe(engine["address"])).load.slots_used:
            return int(engine["pid"])
    raise AssertionError("no engine has a stream")


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A running engine; `ready` is its ready line."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def describe(self) -> engine_pb2.Description:
        return await describe(self.address)


@contextlib.asynccontextmanager
async def running_engine(folder: Path, *arguments: str) -> AsyncIterator[EngineProcess]:
    """An engine on a UNIX socket in `folder`, with more arguments; its log is `engine.log` beside."""
    with (folder / "engine.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engines", "--listen", f"unix:{folder / 'engine.sock'}", "--json", *arguments),
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_READY_S):
            line = await process.stdout.readline()
        assert line, (folder / "engine.log").read_text(errors="replace")
        yield EngineProcess(process, json.loads(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def linked(address: str, *, gateway: str = "test") -> AsyncIterator[GrpcLink]:
    """A connected link; it breaks off at the end, and with it all its streams."""
    link = GrpcLink(address, LinkSettings(), gateway=gateway)
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: link.is_connected, within_s=_CONNECTED_S, what="the link")
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@dataclass
class Listener:
    """One stream on a link. `sent_at_s`: for each message, on the monotonic clock."""

    name: str
    tenant: str = "test"
    options: StreamOptions = field(default_factory=StreamOptions)
    events: list[StreamEvent] = field(default_factory=list)
    sent_through_sample: int = 0
    consumed_through_sample: int = 0
    window_samples: int = 0
    sent: list[tuple[int, float]] = field(default_factory=list)
    """(sample behind the last one sent, when)."""
    delays_s: list[float] = field(default_factory=list)
    """Of each step: from the message with its last audio to the word that it is done."""
    compute_us: int = 0
    end: FinalResult | Lost | Refused | None = None
    is_cancelled: bool = False
    after_the_end: list[StreamEvent] = field(default_factory=list)
    """What came although nothing may come any more."""

    def open(self, link: GrpcLink, *, grant: bytes = b"") -> None:
        opened = OpenStream(
            session_id=self.name, tenant=self.tenant, epoch=1, start_sample=0, options=self.options, grant=grant
        )
        self._stream = link.open(opened, self._hear)

    def _hear(self, event: StreamEvent) -> None:
        if self.is_over:
            self.after_the_end.append(event)  # a link calls: it is not the one to be told of a broken promise
        self.events.append(event)
        match event:
            case Granted():
                self.window_samples = event.window_samples
            case Progress():
                self.compute_us += event.compute_us
                self._note_delay(event.audio_through_sample)
            case FinalResult(reason=EndReason.finish) | Lost() | Refused():
                self.end = event
            case _:
                pass

    def _note_delay(self, through_sample: int) -> None:
        if through_sample <= self.consumed_through_sample:
            return
        self.consumed_through_sample = through_sample
        sent_at_s = next((at_s for sent, at_s in self.sent if sent >= through_sample), None)
        if sent_at_s is not None:
            self.delays_s.append(time.monotonic() - sent_at_s)

    # --- what it says -------------------------------------------------------------------------------------

    def may_send(self, num_samples: int) -> bool:
        """Whether so much fits into the window."""
        return self.sent_through_sample + num_samples - self.consumed_through_sample <= self.window_samples

    def say(self, pcm16: bytes) -> None:
        self.sent_through_sample += len(pcm16) // BYTES_PER_SAMPLE
        self.sent.append((self.sent_through_sample, time.monotonic()))
        self._stream.send_audio(pcm16)

    def finish(self) -> None:
        self._stream.finish(self.sent_through_sample)

    def cancel(self) -> None:
        self._stream.cancel()
        self.is_cancelled = True

    async def say_all(self, pieces: list[bytes]) -> None:
        """As fast as the window allows, then finish; gives up when the stream is over."""
        for piece in pieces:
            if not await self.has_room_for(piece):
                return
            self.say(piece)
        self.finish()

    async def has_room_for(self, pcm16: bytes) -> bool:
        """Wait until it fits into the window; False when the stream is over instead."""
        num_samples = len(pcm16) // BYTES_PER_SAMPLE
        await until(lambda: self.is_over or self.may_send(num_samples), what=f"room in the window of {self.name}")
        return not self.is_over

    # --- what it heard ------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.end is not None or self.is_cancelled

    @property
    def is_granted(self) -> bool:
        return any(isinstance(event, Granted) for event in self.events)

    @property
    def finals(self) -> list[FinalResult]:
        return [event for event in self.events if isinstance(event, FinalResult)]

    @property
    def partials(self) -> list[PartialResult]:
        return [event for event in self.events if isinstance(event, PartialResult)]

    @property
    def told(self) -> list[tuple[int, int, str]]:
        """(first sample, sample behind the last one, words) of each final."""
        return [(final.start_sample, final.end_sample, final.text) for final in self.finals]

    async def until_answered(self) -> None:
        await until(lambda: self.is_granted or self.end is not None, what=f"an answer to {self.name}")

    async def until_over(self, *, within_s: float = 60.0) -> None:
        await until(lambda: self.end is not None, within_s=within_s, what=f"the end of {self.name}")
