"""What the limiter costs Redis and a gateway for each session and second, beside the package `limits` and plain INCR.

One redis-server of its own and one client, which waits for each answer before it asks again. A *session-second* is what
a running session asks for in a second: settle a slice at three levels, top up its credit, every fifth second renew its
lease, every thirtieth bill. The peers count one cost at one level, and do nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
from redis.asyncio import Redis

from gateway.limits.calls import Open, Run, Status
from gateway.limits.script_call import quota_script, run_script
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import Slice
from policies.plans import MICRO, LevelLimits, Rate
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine, quantile
from tests.harness.quota import NAMES, caller_plan, tab_labels
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SESSIONS = 50
_COST_MS = 100
_ROUNDS = 5
_RENEWED_EVERY_S = 5
_LIMIT = LevelLimits(
    compute=Rate(per_s=5_000 * MICRO, burst=100_000 * MICRO),
    max_sessions=100_000,
    starts=Rate(per_s=1_000 * MICRO, burst=1_000_000 * MICRO),
)
_PLAN = caller_plan(key=_LIMIT, project=_LIMIT, org=_LIMIT)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one round."""

    p50_us: float
    p99_us: float
    redis_us: float
    """CPU of Redis a session-second."""
    calls_per_core_s: float
    """Calls that one core of the client could make a second: calls by the CPU time that they took it."""
    sessions_per_core_s: float


class Sessions:
    """The session-seconds of fifty running sessions, so many in each call."""

    def __init__(self, redis: Redis, per_call: int, round_number: int) -> None:
        self._redis = redis
        self._per_call = per_call
        self._labels = [tab_labels(f"s{round_number}-{per_call}-{each}", _PLAN) for each in range(_SESSIONS)]
        self._second = 0
        self._next = 0
        self._at_ms = int(time.time() * 1_000)

    async def open(self) -> None:
        for labels in self._labels:
            await self._ask([Open(labels, _PLAN, 2 * MICRO, MICRO)])

    async def call(self) -> None:
        piece = (Slice(self._second, _COST_MS * 1_000, 1_000, 1_000, self._at_ms),)
        is_renewal = self._second % _RENEWED_EVERY_S == 0
        due = self._labels[self._next : self._next + self._per_call]
        await self._ask([Run(labels, _PLAN, piece, 2 * MICRO, MICRO, is_renewal) for labels in due])
        self._next += self._per_call
        if self._next >= _SESSIONS:
            self._next, self._second = 0, self._second + 1

    async def _ask(self, requests: list[Open] | list[Run]) -> None:
        keys, arguments = encode(NAMES, "acme", requests, ScriptRules())
        replies = decode(await run_script(self._redis, quota_script(), keys, arguments))
        if any(reply.status is not Status.ok for reply in replies):
            raise AssertionError(replies)


async def _redis_cpu_us(redis: Redis) -> float:
    used = await redis.info("cpu")
    return 1e6 * (float(used["used_cpu_user"]) + float(used["used_cpu_sys"]))


async def _measured(redis: Redis, call: Callable[[], Awaitable[object]], *, calls: int, sessions: int) -> Cost:
    for _ in range(max(1, calls // 10)):
        await call()
    redis_before_us, client_before_ns = await _redis_cpu_us(redis), time.process_time_ns()
    took_us = []
    for _ in range(calls):
        began_ns = time.perf_counter_ns()
        await call()
        took_us.append((time.perf_counter_ns() - began_ns) / 1e3)
    client_s = (time.process_time_ns() - client_before_ns) / 1e9
    redis_us = await _redis_cpu_us(redis) - redis_before_us
    took_us.sort()
    return Cost(
        p50_us=quantile(took_us, 0.5),
        p99_us=quantile(took_us, 0.99),
        redis_us=redis_us / calls / sessions,
        calls_per_core_s=calls / client_s,
        sessions_per_core_s=calls * sessions / client_s,
    )


async def _round(redis: Redis, url: str, number: int, share: float) -> dict[str, Cost]:
    """Every subject once, in turn, on an empty Redis."""
    await redis.flushall()
    storage = RedisStorage(f"async+{url}", implementation="redispy")
    item = RateLimitItemPerSecond(10**9)
    fixed, moving = FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)
    costs = {}
    for per_call, full_calls in ((1, 2_000), (10, 1_000), (_SESSIONS, 400)):
        sessions = Sessions(redis, per_call, number)
        await sessions.open()
        calls = int(share * full_calls)
        name = "quota script, 1 session a call" if per_call == 1 else f"quota script, {per_call} sessions a call"
        costs[name] = await _measured(redis, sessions.call, calls=calls, sessions=per_call)
    subjects: dict[str, Callable[[], Awaitable[object]]] = {
        f"limits, fixed window, cost {_COST_MS}": lambda: fixed.hit(item, "fixed", cost=_COST_MS),
        "limits, moving window, cost 1": lambda: moving.hit(item, "one", cost=1),
        f"limits, moving window, cost {_COST_MS}": lambda: moving.hit(item, "hundred", cost=_COST_MS),
        "INCRBY": lambda: redis.incrby("plain", _COST_MS),
    }
    for name, call in subjects.items():
        costs[name] = await _measured(redis, call, calls=int(share * 2_000), sessions=1)
    return costs


async def _measure(rounds: int, share: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis").start()
        try:
            async with Redis(host="127.0.0.1", port=server.port, protocol=2) as redis:
                version = (await redis.info("server"))["redis_version"]
                taken = [await _round(redis, server.url, number, share) for number in range(rounds)]
        finally:
            server.stop()
    header = [
        "",
        "p50 µs",
        "p99 µs",
        "Redis CPU µs a session-second",
        "calls/s a client core",
        "session-seconds/s a client core",
    ]
    rows = [
        [
            name,
            Spread.of([each[name].p50_us for each in taken]).shown(0),
            Spread.of([each[name].p99_us for each in taken]).shown(0),
            Spread.of([each[name].redis_us for each in taken]).shown(1),
            Spread.of([each[name].calls_per_core_s for each in taken]).shown(0),
            Spread.of([each[name].sessions_per_core_s for each in taken]).shown(0),
        ]
        for name in taken[0]
    ]
    return f"{machine_line(machine())} Redis {version}.\n\n{markdown_table(header, rows)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.limits", description=__doc__)
    parser.add_argument("--short", action="store_true", help="that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    text = asyncio.run(_measure(1, 0.05) if arguments.short else _measure(_ROUNDS, 1.0))
    print(text)
    if arguments.write_docs:
        write_section("limits", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
