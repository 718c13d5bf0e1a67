"""Engines as real processes, and a link spoken by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from engines.proto import engine_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60


@dataclass
class EngineProcess:
    """A started engine; `ready` is its ready line."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    async def wait(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()

    async def rest_of_stderr(self) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            return (await self.process.stderr.read()).decode()


async def spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engines",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def start_engine(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[EngineProcess]]]:
    """Starts scripted engines with more arguments; they end with the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> EngineProcess:
        listen = f"unix:{tmp_path}/{len(started)}.sock"
        process = await spawn("--recogniser", "scripted", "--listen", listen, "--slots", "4", "--json", *arguments)
        started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            return EngineProcess(process, json.loads(await process.stdout.readline()))

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture
def run_engine() -> Callable[..., Awaitable[tuple[int, list[str]]]]:
    """Runs an engine that ends by itself: its exit code and what it said on stderr, line by line."""

    async def run(*arguments: str) -> tuple[int, list[str]]:
        process = await spawn(*arguments)
        async with asyncio.timeout(DEADLINE_S):
            _, stderr = await process.communicate()
        assert process.returncode is not None
        return process.returncode, stderr.decode().splitlines()

    return run


@dataclass
class HandLink:
    """One `Link` call: sends what it is told, collects what comes."""

    call: Any
    loads: list[engine_pb2.Load] = field(default_factory=list)
    events: list[engine_pb2.StreamEvent] = field(default_factory=list)

    async def send(self, *commands: engine_pb2.StreamCommand, hello: bool = False) -> None:
        message = engine_pb2.ToEngine(commands=commands)
        if hello:
            message.hello.CopyFrom(engine_pb2.Hello(gateway="by hand", protocol_version=1))
        await self.call.write(message.SerializeToString())

    async def read(self) -> bool:
        """One message; False at the end."""
        async with asyncio.timeout(DEADLINE_S):
            payload = await self.call.read()
        if not isinstance(payload, bytes):
            return False
        message = engine_pb2.FromEngine.FromString(payload)
        if message.HasField("load"):
            self.loads.append(message.load)
        self.events += message.events
        return True

    async def read_to_end(self) -> None:
        """Read until the engine ends the call; raises the error that it ends with."""
        while await self.read():
            pass

    async def read_until(self, kind: str, *, stream_id: int = 1) -> engine_pb2.StreamEvent:
        """Read until an event of this kind came for the stream."""
        while True:
            for event in self.events:
                if event.stream_id == stream_id and event.WhichOneof("event") == kind:
                    return event
            assert await self.read(), f"the link ended before {kind}"


@pytest.fixture
async def dial() -> AsyncIterator[Callable[[str], Awaitable[HandLink]]]:
    """Opens links by hand to an address; the hello is sent."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_link(address: str) -> HandLink:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
            link = HandLink(channel.stream_stream("/patchbay.engine.v1.Engine/Link")())
            await link.send(hello=True)
            return link

        yield open_link
