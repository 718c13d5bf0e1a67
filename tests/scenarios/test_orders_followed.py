"""An operator orders engines to be emptied: sessions go on elsewhere with every word, also after restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target
from regions.orders.codec import version_of
from regions.orders.reports import GatewayReport, OrderProgress, summed
from regions.orders.store import OrderNames, OrderStore
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.engine import describe
from tests.harness.figures import quantile
from tests.harness.metrics import scrape
from tests.harness.recordings import pieces_of
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

NUM_CALLERS = 6
SPEECH = pieces_of(bytes(range(256)) * (32 * 6_000 // 256))
LONGEST_DELAY_S = 0.3
"""Of nine partials in ten, after the audio that they are about: the drain adds no more."""


class Operator:
    """Gives orders to a region as a gateway of it would."""

    def __init__(self, region: Region) -> None:
        self._redis = Redis.from_url(str(region.running()["redis"]))
        self._region = region

        async def ask(call: Callable[[Redis], Awaitable[Any]]) -> Any:
            async with asyncio.timeout(60):
                return await call(self._redis)

        self._store = OrderStore(ask, OrderNames("patchbay", "local"))

    async def order(self, *orders: Order) -> None:
        seen = await self._store.look("?", gateway="operator", report=GatewayReport())
        wanted = Orders(time.time_ns() // 1_000_000, orders)
        put = await self._store.change(wanted, known_version=seen.version)
        assert put.is_written, (put, version_of(wanted))

    async def progress(self, order: Order) -> OrderProgress:
        return summed((await self._store.hear()).values())[order.id]

    async def until_emptied(self, order: Order) -> OrderProgress:
        async def is_empty() -> bool:
            heard = summed((await self._store.hear()).values())
            return order.id in heard and heard[order.id].done_at_unix_ms > 0

        await until_true(is_empty, what="the end of the drain")
        return await self.progress(order)

    async def close(self) -> None:
        await self._redis.aclose()


def drain_of(engine: str, order_id: str = "0123456789ab") -> Order:
    return Order(
        id=order_id,
        target=Target(Scope.engine, "local", engine),
        kind=OrderKind.drain,
        state=OrderState.in_force,
        reason="kernel update",
        given_by="ada",
        given_at_unix_ms=1,
    )


async def slots_used(engine: str) -> int:
    return (await describe(engine)).load.slots_used


async def speak(region: Region, callers: list[Caller]) -> None:
    async with calling(region) as caller:
        callers.append(caller)
        await caller.start()
        await caller.say_all(SPEECH, speed=1.0)
        await caller.finish()
        await caller.until_over()


async def test_a_drained_engine_is_empty_after_a_moment_with_every_word_heard_once(
    new_region: Callable[..., Region],
) -> None:
    region = new_region("--scripted", "--engines", "2")
    undisturbed = (await transcribe(region, SPEECH)).words
    drained, _other = [engine["address"] for engine in region.running()["engines"]]
    operator = Operator(region)
    callers: list[Caller] = []
    async with asyncio.TaskGroup() as calls:
        for _ in range(NUM_CALLERS):
            calls.create_task(speak(region, callers))
        await until(lambda: len(callers) == NUM_CALLERS and all(caller.partials for caller in callers))
        busy = await slots_used(drained)
        order = drain_of(drained)
        await operator.order(order)
        progress = await operator.until_emptied(order)
        assert await slots_used(drained) == 0
        assert (progress.moved, progress.left, progress.total) == (busy, 0, busy)
    assert [caller.words for caller in callers] == [undisturbed] * NUM_CALLERS
    assert sum(len(caller.migrations) for caller in callers) == busy
    assert quantile([delay_s for caller in callers for delay_s in caller.partial_delays_s()], 0.9) <= LONGEST_DELAY_S
    figures = await scrape(region)
    assert figures("patchbay_orders_in_force", scope="engine", kind="drain") == 1

    # Nothing that restarts ends it.
    gateway = region.gateway_pid
    os.kill(gateway, signal.SIGKILL)
    await until(lambda: region.gateway_pid != gateway, what="another gateway")

    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        assert await slots_used(drained) == 0
        await operator.order()

        async def takes_sessions() -> bool:
            async with calling(region) as one, calling(region) as two:
                await one.start()
                await two.start()
                await one.until_started()
                await two.until_started()
                return await slots_used(drained) > 0

        await until_true(takes_sessions, what="a session on the engine that was drained")
    await operator.close()
