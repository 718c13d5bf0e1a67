"""Sweeps close what nobody renews, whatever stands in its place, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.limits.calls import Open
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.quota_calls import QuotaCalls
from gateway.limits.script_codec import ScriptRules
from gateway.limits.sweep import Sweep
from gateway.metering.entries import TabLabels
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.harness.limited_gateway import plan_of
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


class Swept:
    def __init__(self, server: RedisServer, *, lease_ttl_ms: int) -> None:
        settings = settings_for(server)
        self.link = RedisLink(settings)
        metrics = LimiterMetrics(CollectorRegistry())
        self.calls = QuotaCalls(self.link, ScriptRules(lease_ttl_ms=lease_ttl_ms), metrics)
        self.ours: set[str] = set()
        self.sweep = Sweep(self.link, self.calls, metrics, interval_ms=50, may_sweep=lambda: True, ours=self.ours)

    async def open(self, session_id: str, org: str = "acme") -> None:
        plan = plan_of(org)
        labels = TabLabels(session_id, org, "speech", plan.principal.key, "p", "audio_second", "0123456789ab", "here")
        await self.calls.one(org, [Open(labels, plan, 1_000, 1_000)])


def settings_for(server: RedisServer) -> RedisSettings:
    return RedisSettings(urls=(SecretStr(server.url),))


@pytest.fixture
async def swept(redis_server: RedisServer) -> AsyncIterator[Swept]:
    swept = Swept(redis_server, lease_ttl_ms=300)
    yield swept
    await swept.link.aclose()


async def closed(swept: Swept, number: int) -> None:
    total = 0
    async with asyncio.timeout(60):
        while total < number:
            total += await swept.sweep.round()
            await asyncio.sleep(0.02)
    assert total == number


async def test_only_what_has_expired_and_is_not_ours_is_closed(redis_server: RedisServer) -> None:
    swept = Swept(redis_server, lease_ttl_ms=3_000)
    for session_id, org in (("theirs", "acme"), ("ours", "acme"), ("others", "beta")):
        await swept.open(session_id, org)
    swept.ours.add("ours")
    assert await swept.sweep.round() == 0
    await closed(swept, 2)
    with redis_server.client() as client:
        assert client.zrange("patchbay:{acme}:leases:o", 0, -1) == ["ours"]
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "1000"
        assert client.hget("patchbay:{beta}:bucket:o", "held_us") == "0"
    await swept.link.aclose()


async def test_the_tab_of_a_session_that_goes_on_elsewhere_is_closed_before_its_lease_ends(
    redis_server: RedisServer,
) -> None:
    swept = Swept(redis_server, lease_ttl_ms=60_000)
    for session_id in ("gone", "stays"):
        await swept.open(session_id)
    assert await swept.sweep.close_one("acme", "gone")
    assert not await swept.sweep.close_one("acme", "unknown")
    with redis_server.client() as client:
        assert client.zrange("patchbay:{acme}:leases:o", 0, -1) == ["stays"]
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "1000"
    assert await swept.sweep.close_one("acme", "gone")  # and nothing is done twice
    await swept.link.aclose()


async def test_two_gateways_that_sweep_at_once_close_each_tab_once(swept: Swept, redis_server: RedisServer) -> None:
    other = Swept(redis_server, lease_ttl_ms=300)
    for number in range(20):
        await swept.open(f"s{number}")
    with redis_server.client() as client:
        await until(lambda: client.zcount("patchbay:{acme}:leases:o", now_ms(client), "+inf") == 0)
        await asyncio.gather(swept.sweep.round(), other.sweep.round())
        assert client.zcard("patchbay:{acme}:leases:o") == 0
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "0"
    await other.link.aclose()


async def test_entries_without_a_tab_and_tabs_that_cannot_be_read_stop_no_sweep(
    swept: Swept, redis_server: RedisServer
) -> None:
    await swept.open("whole")
    with redis_server.client() as client:
        client.zadd("patchbay:{acme}:leases:o", {"nobody": 1, "garbled": 2})
        client.hset("patchbay:{acme}:tab:garbled", "labels", "{")
        await closed(swept, 1)
        assert client.zrange("patchbay:{acme}:leases:o", 0, -1) == ["garbled"]


def now_ms(client: Any) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1_000 + int(micros) // 1_000
