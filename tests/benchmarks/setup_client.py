"""The process that opens sessions and ends them again, as fast as it can.

Reads one `SetUpOrder` as JSON on standard input and prints one `SetUpResult` as JSON. A session here: connect, upgrade
with a token, `start`, wait for `started`, `finish`, wait for `finished` and the close.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque

import msgspec
import uvloop

from gateway.transports.websocket import PATH
from tests.benchmarks.measures import cpu_ns
from tests.benchmarks.websocket_session import SessionBroken, open_session, upgrade_request
from tests.benchmarks.webtransport_session import Keeper, WebTransportLoadSession


class SetUpOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`tokens`: one session for each, in order; None for a server that asks for none."""

    port: int
    tokens: list[str | None]
    at_once: int
    cpu_of: dict[str, int]
    host: str = "127.0.0.1"
    is_webtransport: bool = False
    """With its QUIC handshake, so with TLS; WebSocket here is without."""


class SetUpResult(msgspec.Struct, frozen=True, kw_only=True):
    sessions_per_s: float
    cpu_us_per_session: dict[str, float]


async def _open_and_close(order: SetUpOrder) -> SetUpResult:
    waiting, keeper = deque(order.tokens), Keeper()
    keeper.start([])

    async def work() -> None:
        while waiting:
            if order.is_webtransport:
                await _one_webtransport(order, keeper, waiting.popleft())
                continue
            request = upgrade_request(PATH, f"{order.host}:{order.port}", waiting.popleft())
            session = await open_session(order.host, order.port, request)
            session.finish()
            await session.until_closed()
            if not session.is_finished:
                raise SessionBroken("it was closed before `finished`")

    before = {name: cpu_ns(pid) for name, pid in order.cpu_of.items()}
    began_at_s = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(order.at_once):
            tasks.create_task(work())
    elapsed_s = time.perf_counter() - began_at_s
    keeper.stop()
    num_sessions = len(order.tokens)
    return SetUpResult(
        sessions_per_s=num_sessions / elapsed_s,
        cpu_us_per_session={
            name: (cpu_ns(pid) - before[name]) / 1e3 / num_sessions for name, pid in order.cpu_of.items()
        },
    )


async def _one_webtransport(order: SetUpOrder, keeper: Keeper, token: str | None) -> None:
    session = WebTransportLoadSession(lambda _ns: None, keeper, in_datagrams=False)
    try:
        await session.open((order.host, order.port), PATH, token)
        await session.finish()
    finally:
        session.abort()


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=SetUpOrder)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_open_and_close(order))).decode() + "\n")
