"""The process that makes the load: opens sessions, sends at an even pace, times the answers.

Reads one `LoadOrder` as JSON on standard input and prints one `LoadResult` as JSON. Answers still on their way when the
measured time ends count as missing, so a few are always.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import structlog
import uvloop

from gateway.transports.websocket import PATH
from tests.benchmarks.engine_session import EngineSession, connected_link
from tests.benchmarks.measures import cpu_ns, quantile, rss_kib
from tests.benchmarks.pacing import MESSAGES_PER_BLOCK, Pacer
from tests.benchmarks.websocket_session import WebSocketSession, open_session, upgrade_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_HANDSHAKES_AT_ONCE = 32


class LoadOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`engine`: the address of an engine that is driven without a gateway, instead of a WebSocket server.

    Without cycles the sessions are idle: opened, looked at, and closed.
    """

    sessions: int
    warm_up_cycles: int
    cycles: int
    cpu_of: dict[str, int]
    """Processes whose CPU is read at both ends of the measured time."""
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    engine: str | None = None


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """Latency: from the audio message that completes a block to the partial for it."""

    messages: int
    expected_results: int
    results: int
    latency_p50_ms: float
    latency_p99_ms: float
    latency_most_ms: float
    cpu_us_per_message: dict[str, float]
    rss_kib: dict[str, int]
    load_cpu_share: float
    """Of one core, spent by the load process itself."""
    pace_p99_ms: float
    """How late the load was against its own plan."""


async def _load(order: LoadOrder) -> LoadResult:
    latencies_ns: list[int] = []
    async with _opened(order, latencies_ns.append) as sessions:
        pacer = Pacer(sessions, joining_cycles=order.warm_up_cycles)
        gc.collect()
        gc.freeze()
        gc.disable()
        if order.warm_up_cycles:
            await pacer.run(order.warm_up_cycles)
        latencies_ns.clear()
        pacer.late_ns.clear()
        sent_before = pacer.sent
        began_at_ns, own_ns = time.perf_counter_ns(), cpu_ns(0)
        before = {name: cpu_ns(pid) for name, pid in order.cpu_of.items()}
        if order.cycles:
            await pacer.run(order.cycles)
        spent = {name: cpu_ns(pid) - before[name] for name, pid in order.cpu_of.items()}
        elapsed_ns, own_ns = time.perf_counter_ns() - began_at_ns, cpu_ns(0) - own_ns
        messages = pacer.sent - sent_before
        ordered_ms = [value / 1e6 for value in sorted(latencies_ns)]
        return LoadResult(
            messages=messages,
            expected_results=messages // MESSAGES_PER_BLOCK,
            results=len(ordered_ms),
            latency_p50_ms=quantile(ordered_ms, 0.5),
            latency_p99_ms=quantile(ordered_ms, 0.99),
            latency_most_ms=quantile(ordered_ms, 1.0),
            cpu_us_per_message={name: ns / 1e3 / max(1, messages) for name, ns in spent.items()},
            rss_kib={name: rss_kib(pid) for name, pid in order.cpu_of.items()},
            load_cpu_share=own_ns / elapsed_ns,
            pace_p99_ms=quantile(sorted(pacer.late_ns), 0.99) / 1e6,
        )


@contextlib.asynccontextmanager
async def _opened(
    order: LoadOrder, on_result: Callable[[int], None]
) -> AsyncIterator[Sequence[EngineSession] | Sequence[WebSocketSession]]:
    if order.engine is not None:
        async with connected_link(order.engine) as link:
            streams = [EngineSession(link, number, on_result) for number in range(order.sessions)]
            for stream in streams:
                await stream.until_started()
            yield streams
            for stream in streams:
                stream.abort()
        return
    request = upgrade_request(PATH, f"{order.host}:{order.port}", order.token)
    at_once = asyncio.Semaphore(_HANDSHAKES_AT_ONCE)

    async def opened() -> WebSocketSession:
        async with at_once:
            return await open_session(order.host, order.port, request, on_result)

    async with asyncio.TaskGroup() as tasks:
        opening = [tasks.create_task(opened()) for _ in range(order.sessions)]
    sessions = [task.result() for task in opening]
    yield sessions
    for session in sessions:
        session.abort()


if __name__ == "__main__":
    structlog.configure(  # the link's log: standard output is ours
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadOrder)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_load(order))).decode() + "\n")
