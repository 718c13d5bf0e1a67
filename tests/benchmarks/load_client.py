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
import urllib.request
from typing import TYPE_CHECKING, Literal

import msgspec
import redis
import structlog
import uvloop

from gateway.transports.websocket import PATH
from tests.benchmarks.engine_session import EngineSession, connected_link
from tests.benchmarks.measures import cpu_ns, quantile, rss_kib
from tests.benchmarks.pacing import MESSAGES_PER_BLOCK, Pacer
from tests.benchmarks.websocket_session import WebSocketSession, open_session, upgrade_request
from tests.benchmarks.webtransport_session import Keeper, WebTransportLoadSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_HANDSHAKES_AT_ONCE = 32
_QUIC_HANDSHAKES_AT_ONCE = 8


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
    tokens: list[str] = []
    """Sessions take them in turn; without any they bring none."""
    engine: str | None = None
    webtransport: Literal["", "streams", "datagrams"] = ""
    """Instead of a WebSocket; how the audio goes."""
    redis_port: int | None = None
    """A Redis whose own figures are read at both ends of the measured time."""
    metrics_url: str = ""
    """Of the gateway whose limits that Redis keeps."""


class RedisWork(msgspec.Struct, frozen=True, kw_only=True):
    """What a Redis says that it did in the measured time (INFO), and how many calls the gateway says that failed."""

    cpu_us_per_session_s: float
    scripts_per_s: float
    failed_calls: int


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
    resent: int = 0
    """Packets of WebTransport that had to be sent again."""
    broken: int = 0
    """Sessions of WebTransport that ended before their time."""
    redis: RedisWork | None = None


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
        redis_before = _redis_figures(order)
        before = {name: cpu_ns(pid) for name, pid in order.cpu_of.items()}
        if order.cycles:
            await pacer.run(order.cycles)
        spent = {name: cpu_ns(pid) - before[name] for name, pid in order.cpu_of.items()}
        elapsed_ns, own_ns = time.perf_counter_ns() - began_at_ns, cpu_ns(0) - own_ns
        redis_work = _redis_work(redis_before, _redis_figures(order), order.sessions, elapsed_ns / 1e9)
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
            resent=sum(session.resent for session in sessions if isinstance(session, WebTransportLoadSession)),
            broken=sum(bool(session.broken) for session in sessions if isinstance(session, WebTransportLoadSession)),
            redis=redis_work,
        )


def _redis_figures(order: LoadOrder) -> dict[str, float]:
    """Counters that only rise: CPU in microseconds, calls of scripts, calls that failed. Empty without a Redis."""
    if order.redis_port is None:
        return {}
    with redis.Redis(port=order.redis_port, socket_timeout=5) as client:
        cpu, calls = client.info("cpu"), client.info("commandstats")
    with urllib.request.urlopen(order.metrics_url, timeout=5) as page:
        lines = page.read().decode().splitlines()
    failures = [line for line in lines if line.startswith("patchbay_limiter_failures_total{")]
    return {
        "cpu_us": 1e6 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
        "scripts": float(sum(calls.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))),
        "failures": sum(float(line.rpartition(" ")[2]) for line in failures),
    }


def _redis_work(before: dict[str, float], after: dict[str, float], sessions: int, elapsed_s: float) -> RedisWork | None:
    if not before:
        return None
    grown = {name: after[name] - before[name] for name in after}
    return RedisWork(
        cpu_us_per_session_s=grown["cpu_us"] / sessions / elapsed_s,
        scripts_per_s=grown["scripts"] / elapsed_s,
        failed_calls=int(grown["failures"]),
    )


@contextlib.asynccontextmanager
async def _opened(
    order: LoadOrder, on_result: Callable[[int], None]
) -> AsyncIterator[Sequence[EngineSession] | Sequence[WebSocketSession] | Sequence[WebTransportLoadSession]]:
    if order.engine is not None:
        async with connected_link(order.engine) as link:
            streams = [EngineSession(link, number, on_result) for number in range(order.sessions)]
            for stream in streams:
                await stream.until_started()
            yield streams
            for stream in streams:
                stream.abort()
        return
    if order.webtransport:
        async with _opened_over_webtransport(order, on_result) as sessions_there:
            yield sessions_there
        return
    requests = [upgrade_request(PATH, f"{order.host}:{order.port}", token) for token in order.tokens or [None]]
    at_once = asyncio.Semaphore(_HANDSHAKES_AT_ONCE)

    async def opened(number: int) -> WebSocketSession:
        async with at_once:
            return await open_session(order.host, order.port, requests[number % len(requests)], on_result)

    async with asyncio.TaskGroup() as tasks:
        opening = [tasks.create_task(opened(number)) for number in range(order.sessions)]
    sessions = [task.result() for task in opening]
    yield sessions
    for session in sessions:
        session.abort()


@contextlib.asynccontextmanager
async def _opened_over_webtransport(
    order: LoadOrder, on_result: Callable[[int], None]
) -> AsyncIterator[list[WebTransportLoadSession]]:
    keeper, at_once = Keeper(), asyncio.Semaphore(_QUIC_HANDSHAKES_AT_ONCE)
    tokens = order.tokens or [None]

    async def opened(number: int) -> WebTransportLoadSession:
        session = WebTransportLoadSession(on_result, keeper, in_datagrams=order.webtransport == "datagrams")
        async with at_once:
            await session.open((order.host, order.port), PATH, tokens[number % len(tokens)])
        return session

    async with asyncio.TaskGroup() as tasks:
        opening = [tasks.create_task(opened(number)) for number in range(order.sessions)]
    sessions = [task.result() for task in opening]
    keeper.start(sessions)
    yield sessions
    keeper.stop()
    for session in sessions:
        session.abort()


if __name__ == "__main__":
    structlog.configure(  # the link's log: standard output is ours
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadOrder)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_load(order))).decode() + "\n")
