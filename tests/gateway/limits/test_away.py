"""Whether Redis is there is known by calls that fail and by probes that write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.limits.away import Presence
from gateway.limits.metrics import LimiterMetrics
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import AwayReason, RedisAway
from gateway.redis_link.settings import RedisSettings
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


class Watched:
    def __init__(self, server: RedisServer) -> None:
        self.now_ms = 1_000
        self.returns = 0
        self.registry = CollectorRegistry()
        self.link = RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=100))
        self.presence = Presence(self.link, LimiterMetrics(self.registry), lambda: self.now_ms, first_probe_ms=10)

    def back(self) -> None:
        self.returns += 1


@pytest.fixture
async def watched(redis_server: RedisServer) -> AsyncIterator[Watched]:
    watched = Watched(redis_server)
    watching = asyncio.create_task(watched.presence.run(on_back=watched.back))
    await until(lambda: watched.returns == 1, what="the first contact")
    yield watched
    watching.cancel()
    await asyncio.wait([watching])
    await watched.link.aclose()


async def test_a_failed_call_means_away_until_a_probe_has_written(watched: Watched, redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)  # it answers, but takes no writes
        assert watched.presence.failed(RedisAway(AwayReason.out_of_memory), "acme", began_at_ms=1_000)
        assert watched.presence.is_away
        await until(
            lambda: (
                (watched.registry.get_sample_value("patchbay_limiter_failures_total", {"reason": "out_of_memory"}) or 0)
                > 3
            ),
            what="probes",
        )
        assert watched.presence.is_away
        watched.now_ms = 4_000
        client.config_set("maxmemory", 0)
        await until(lambda: not watched.presence.is_away, what="the return")
        assert client.exists("patchbay:{acme}:probe")
    assert watched.returns == 2
    assert watched.registry.get_sample_value("patchbay_limiter_away_seconds_total") == 3.0
    assert watched.registry.get_sample_value("patchbay_limiter_away") == 0


async def test_only_the_first_failure_is_news_and_calls_from_before_a_return_are_none(watched: Watched) -> None:
    away = RedisAway(AwayReason.timed_out)
    assert watched.presence.failed(away, "acme", began_at_ms=1_000)
    assert not watched.presence.failed(away, "acme", began_at_ms=1_000)
    watched.now_ms = 2_000
    await until(lambda: watched.returns == 2)
    assert not watched.presence.failed(away, "acme", began_at_ms=1_999)
    assert not watched.presence.is_away
