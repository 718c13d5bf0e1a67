"""A region's gateways borrow for the orgs that they have sessions of, one at a time, and give back in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from policies.plans import MICRO, Level, Principal, WhenLimiterAway
from tests.harness.escrow_regions import RATE, WHO, lending_regions, plan
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_levels_of_one_caller_are_all_borrowed_for(tmp_path: Path) -> None:
    who = Principal("acme", "web", "0123456789abcdef")
    async with lending_regions(tmp_path, "eu", "us") as regions:
        assert await regions["us"].running.borrower.ready(plan(who=who))
        for level in Level:
            assert await regions["us"].balance_us(level, who) > 0


async def test_a_caller_without_compute_limits_waits_for_nobody(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu") as regions:
        borrower = regions["eu"].running.borrower
        assert await borrower.ready(plan(rate=None))
        await until(lambda: borrower.num_orgs == 0, what="forgetting the org")


async def test_what_nobody_uses_goes_back_to_the_root_and_the_org_is_forgotten(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us", idle_ms=300) as regions:
        home, region = regions["eu"], regions["us"]
        borrower = region.running.borrower
        assert await borrower.ready(plan())
        await until(lambda: borrower.num_orgs == 0, what="forgetting the org")
        assert await region.balance_us() == 0
        assert await region.book("returned_us") == await region.book("received_us") > 0

        async def is_the_burst_whole() -> bool:
            # The home region is asked so that its books are brought up to date.
            home.borrows()
            return await home.root_book("balance_us") + await home.balance_us() >= RATE.burst - MICRO

        await until_true(is_the_burst_whole, what="the root's balance")


async def test_a_root_that_is_away_is_told_to_who_waits(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us", opening_timeout_ms=700) as regions:
        await regions["eu"].kill()
        assert not await regions["us"].running.borrower.ready(plan())


async def test_an_org_that_has_used_up_its_compute_lets_nobody_wait(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        borrower = region.running.borrower
        assert await borrower.ready(plan())
        owing = region.link.names.bucket(WHO, Level.org)
        await region.link.ask(lambda redis: redis.hset(owing, "balance_us", str(-1_000 * MICRO)))
        leases = region.link.names.leases(WHO, Level.org)
        await region.link.ask(lambda redis: redis.zadd(leases, {"a session": 2**50}))
        await region.asked("short")
        began_s = asyncio.get_running_loop().time()
        assert await borrower.ready(plan())
        assert asyncio.get_running_loop().time() - began_s < region.settings.opening_timeout_ms / 1_000 / 2


async def test_a_plan_that_says_open_goes_on_while_the_root_is_away(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        await regions["eu"].kill()
        assert await region.running.borrower.ready(plan(WhenLimiterAway.open))
        assert await region.balance_us() == region.settings.holding().holding_us(RATE)
        minted = region.registry.get_sample_value("patchbay_escrow_minted_compute_seconds_total")
        assert minted == await region.balance_us() / MICRO


async def test_redis_of_the_region_may_come_back_and_borrowing_goes_on(tmp_path: Path) -> None:
    async with lending_regions(tmp_path, "eu", "us") as regions:
        region = regions["us"]
        assert await region.running.borrower.ready(plan())
        region.server.restart()
        await region.received()
