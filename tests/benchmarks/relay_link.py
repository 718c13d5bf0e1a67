"""What a relay costs: CPU for each 100 ms of audio, directly to an engine and through another region's relay.

    python tests/benchmarks/relay_link.py --sessions 50 --seconds 20

The relay is a process of its own, over mutual TLS, and asks the same engine. Sessions speak in real time; both ways are
measured one after the other, in rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from regions.links.certificates import Certificates, LinkTls, TlsFiles
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings
from tests.benchmarks.measures import cpu_ns
from tests.harness.engine import Listener, running_engine
from tests.harness.relay_world import HERE, THERE, relay_world
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK_MS = 100
_CHUNK = bytes(2 * 16 * _CHUNK_MS)


async def relay(folder: Path, engine: str) -> None:
    """In a process of its own: prints its port, and ends with its standard input."""
    async with relay_world(folder) as world:
        await world.start(engine, heartbeat_interval_ms=250)
        world.authority.issue(HERE)
        print(world.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextlib.asynccontextmanager
async def relay_process(folder: Path, engine: str) -> AsyncIterator[tuple[int, int]]:
    """(pid, port)"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--relay", str(folder), engine),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        yield process.pid, port
    finally:
        process.stdin.close()
        await process.wait()


async def speak(link: GrpcLink, num_sessions: int, seconds: float, pids: dict[str, int]) -> dict[str, float]:
    """CPU of each process for each chunk, in microseconds."""
    sessions = [Listener(str(number)) for number in range(num_sessions)]
    for session in sessions:
        session.open(link)
        await session.until_answered()
    before = {name: cpu_ns(pid) for name, pid in pids.items()}
    began_at_s = time.monotonic()
    chunks = int(seconds * 1_000 / _CHUNK_MS)
    for number in range(chunks):
        for index, session in enumerate(sessions):
            due_at_s = began_at_s + (number + index / num_sessions) * _CHUNK_MS / 1_000
            await asyncio.sleep(max(0.0, due_at_s - time.monotonic()))
            session.say(_CHUNK)
    spent = {name: (cpu_ns(pid) - before[name]) / 1_000 / (chunks * num_sessions) for name, pid in pids.items()}
    for session in sessions:
        session.finish()
        await session.until_over()
    return spent


async def measure(arguments: argparse.Namespace) -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = await stack.enter_async_context(
            running_engine(folder, "--recogniser", "scripted", "--slots", str(2 * arguments.sessions))
        )
        relay_folder = folder / "relay"
        relay_folder.mkdir()
        pid, port = await stack.enter_async_context(relay_process(relay_folder, engine.address))
        certificates = Certificates(_files_of_caller(relay_folder))
        direct = GrpcLink(engine.address, LinkSettings(), gateway="bench")
        relayed = GrpcLink(
            f"127.0.0.1:{port}",
            LinkSettings(connect_timeout_ms=3_000),
            gateway=f"{HERE}/bench",
            tls=LinkTls(certificates, THERE),
        )
        running = [asyncio.create_task(link.run()) for link in (direct, relayed)]
        await until(lambda: direct.is_connected and relayed.is_connected, what="the links")
        pids = {"gateway": os.getpid(), "engine": engine.pid, "relay": pid}
        spent: dict[str, list[dict[str, float]]] = {"direct": [], "relayed": []}
        for _ in range(arguments.rounds):
            for name, link in (("direct", direct), ("relayed", relayed)):
                spent[name].append(await speak(link, arguments.sessions, arguments.seconds, pids))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    report(spent)


def _files_of_caller(relay_folder: Path) -> TlsFiles:
    """What the relay's process had its authority issue."""
    issued = relay_folder / "authority"
    return TlsFiles(certificate_file=issued / f"{HERE}.crt", key_file=issued / f"{HERE}.key", ca_file=issued / "ca.pem")


def report(spent: dict[str, list[dict[str, float]]]) -> None:
    print("| way | " + " | ".join(f"{name}, µs a chunk" for name in spent["direct"][0]) + " | all | ratio |")
    print("|---|---|---|---|---|---|")
    base = 0.0
    for way, rounds in spent.items():
        medians = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
        total = sum(medians.values())
        base = base or total
        cells = " | ".join(f"{medians[name]:.0f}" for name in medians)
        print(f"| {way} | {cells} | {total:.0f} | {total / base:.2f} |")


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    raise structlog.DropEvent


def main() -> None:
    structlog.configure(processors=[_drop])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--relay", nargs=2, metavar=("FOLDER", "ENGINE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.relay:
        uvloop.run(relay(Path(arguments.relay[0]), arguments.relay[1]))
    else:
        uvloop.run(measure(arguments))


if __name__ == "__main__":
    main()
