"""Engines as real processes, links and pools that run for one test, and sessions that watch their stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.interface import FinalResult, Granted, Lost, OpenStream, Progress, Refused, StreamEvent, StreamOptions
from regions.links.grpc_link import GrpcLink
from regions.links.pool import LinkPool
from regions.links.settings import LinkSettings, PoolSettings
from tests.harness import ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from regions.links.interface import EngineStream

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60


class EngineProcesses:
    """Starts scripted engines by name; the same name listens on the same socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}

    def address(self, name: str = "a") -> str:
        return f"unix:{self._folder}/{name}.sock"

    async def start(self, *arguments: str, name: str = "a") -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engines", "--recogniser", "scripted", "--slots", "8", "--json"),
            *("--listen", self.address(name), *arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._running[name] = process
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            json.loads(await process.stdout.readline())
        return process

    async def kill(self, name: str = "a") -> None:
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()

    async def kill_all(self) -> None:
        for name in list(self._running):
            await self.kill(name)


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[EngineProcesses]:
    processes = EngineProcesses(tmp_path)
    yield processes
    await processes.kill_all()


async def until(condition: Callable[[], bool], *, within_s: float = DEADLINE_S) -> None:
    """Let the loop run until the condition holds; fails at the deadline."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


@dataclass
class Session:
    """One session's view of its stream: every event, in order."""

    stream: EngineStream | None = None
    events: list[StreamEvent] = field(default_factory=list)
    sent_samples: int = 0

    def hear(self, event: StreamEvent) -> None:
        self.events.append(event)

    def speak(self, value: int, num_samples: int = 1_600) -> None:
        assert self.stream is not None
        self.stream.send_audio(np.full(num_samples, value, "<i2").tobytes())
        self.sent_samples += num_samples

    def finish(self) -> None:
        assert self.stream is not None
        self.stream.finish(self.sent_samples)

    @property
    def is_granted(self) -> bool:
        return any(isinstance(event, Granted) for event in self.events)

    @property
    def answers(self) -> list[StreamEvent]:
        """Granted, Refused and Lost."""
        return [event for event in self.events if isinstance(event, Granted | Refused | Lost)]

    @property
    def finals(self) -> list[FinalResult]:
        return [event for event in self.events if isinstance(event, FinalResult)]

    @property
    def texts(self) -> list[str]:
        return [final.text for final in self.finals]

    @property
    def audio_through_sample(self) -> int:
        return max((event.audio_through_sample for event in self.events if isinstance(event, Progress)), default=0)

    @property
    def is_finished(self) -> bool:
        return any(final.reason == "finish" for final in self.finals)


def asking(epoch: int = 1, **options: Any) -> OpenStream:
    return OpenStream(session_id="s", tenant="t", epoch=epoch, start_sample=0, options=StreamOptions(**options))


def open_session(opener: GrpcLink | LinkPool, asked: OpenStream | None = None) -> Session:
    session = Session()
    session.stream = opener.open(asked or asking(), session.hear)
    return session


async def granted_session(opener: GrpcLink | LinkPool) -> Session:
    session = open_session(opener)
    await until(lambda: bool(session.events))
    assert session.is_granted, session.events
    return session


class Tools:
    """What the tests of this folder share: with importlib mode there is no module to import it from."""

    until = staticmethod(until)
    open_session = staticmethod(open_session)
    granted_session = staticmethod(granted_session)
    asking = staticmethod(asking)


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def run_link() -> AsyncIterator[Callable[..., Awaitable[GrpcLink]]]:
    """Runs a link to an address; waits until it is connected unless told not to."""
    running: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:

        async def start(address: str, *, waits: bool = True, **settings: Any) -> GrpcLink:
            link = GrpcLink(address, LinkSettings(**settings), gateway="test")
            running.append(tasks.create_task(link.run()))
            if waits:
                await until(lambda: link.is_connected)
            return link

        yield start
        for task in running:
            task.cancel()


@pytest.fixture
async def run_pool() -> AsyncIterator[Callable[..., Awaitable[LinkPool]]]:
    """Runs a pool over addresses; waits until this many are connected."""
    running: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:

        async def start(*addresses: str, connected: int | None = None, gateway: str = "test") -> LinkPool:
            pool = LinkPool(PoolSettings(addresses=addresses, removal_grace_ms=50), gateway=gateway)
            running.append(tasks.create_task(pool.run()))
            wanted = len(addresses) if connected is None else connected
            await until(lambda: len(pool.loads()) >= wanted)
            return pool

        yield start
        for task in running:
            task.cancel()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on at this moment."""
    return ports.free_port()
