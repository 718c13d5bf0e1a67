"""Real Redis servers, real scripts, real gRPC: what regions spend stays inside the bound, whatever the network does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies.plans import MICRO, WhenLimiterAway
from tests.harness.escrow_load import Spending
from tests.harness.escrow_regions import RATE, lending_regions, plan
from tests.harness.ports import free_port
from tests.harness.tcp_relay import TcpRelay
from tests.harness.waiting import until
from tests.harness.window_checker import worst_excess_us

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

WORST_US = 100_000


@contextlib.asynccontextmanager
async def spending(*of: Spending) -> AsyncIterator[None]:
    tasks = [asyncio.get_running_loop().create_task(one.run()) for one in of]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def spent(of: Sequence[Spending]) -> list[tuple[int, int]]:
    return [one for load in of for one in load.spends]


async def test_one_region_with_worst_case_holds_has_no_excess(redis_server: RedisServer) -> None:
    link = link_to(redis_server)
    load = Spending(link, plan(), "eu", num_sessions=40, worst_us=WORST_US, dice=random.Random(1))
    async with spending(load):
        await until_spent(load, 20 * MICRO)
    await link.aclose()
    assert worst_excess_us(load.spends, per_s=RATE.per_s, burst=RATE.burst) <= 0


def link_to(server: RedisServer) -> RedisLink:
    return RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=5_000))


async def until_spent(load: Spending, amount_us: int) -> None:
    await until(lambda: sum(amount for _, amount in load.spends) >= amount_us, what="spending")


async def spends_more(loads: Sequence[Spending], amount_us: int) -> None:
    """Until all of them together have spent so much more."""

    def total_us() -> int:
        return sum(amount for _, amount in spent(loads))

    before_us = total_us()
    await until(lambda: total_us() >= before_us + amount_us, what="spending")


async def test_three_regions_stay_inside_the_bound_through_a_partition(tmp_path: Path, is_long: bool) -> None:
    """Some two seconds of it; the long form tries the safe rate too."""
    await stays_inside(tmp_path / "closed", WhenLimiterAway.closed)
    if is_long:
        await stays_inside(tmp_path / "safe", WhenLimiterAway.safe)


async def stays_inside(folder: Path, when_away: WhenLimiterAway) -> None:
    home_port = free_port()
    async with (
        TcpRelay(home_port) as relay,
        lending_regions(
            folder, "eu", "us", "ap", ports={"eu": home_port}, through={"ap": relay.port}, safe_share_permille=100
        ) as regions,
    ):
        loads = [
            Spending(
                region.link,
                region.borrows(when_away),
                name,
                num_sessions=20,
                worst_us=WORST_US,
                dice=random.Random(name),
            )
            for name, region in regions.items()
        ]
        cut_off = loads[2]
        async with spending(*loads):
            await spends_more([cut_off], 4 * MICRO)
            relay.swallow()
            began_us = max(at for at, _ in spent(loads))
            await spends_more(loads[:2], 20 * MICRO)
            cut_us = max(at for at, _ in spent(loads)) - began_us
            in_cut_us = sum(amount for at, amount in cut_off.spends if at > began_us)
            relay.open()
            await spends_more([cut_off], 4 * MICRO)
        holdings_us = sum(region.settings.holding().holding_us(RATE) for region in regions.values())
    safe_us = RATE.per_s * 100 // 1_000 * (cut_us + MICRO) // MICRO if when_away is WhenLimiterAway.safe else 0
    assert worst_excess_us(spent(loads), per_s=RATE.per_s, burst=RATE.burst) <= holdings_us + safe_us
    assert in_cut_us <= regions["ap"].settings.holding().holding_us(RATE) + safe_us
