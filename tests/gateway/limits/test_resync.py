"""Events that the journal has go to Redis again, before tabs that they are of are restored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.limits.metrics import LimiterMetrics
from gateway.limits.quota_calls import QuotaCalls
from gateway.limits.resync import Resync
from gateway.limits.script_codec import ScriptRules
from gateway.metering.entries import TabLabels, UsageEvent
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.harness.limited_gateway import bill_in
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


class Recent:
    """A journal that has so many events of each of two orgs."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked_since_ms: list[int] = []

    def recent_events(self, *, since_ms: int = 0) -> Iterator[UsageEvent]:
        self.asked_since_ms.append(since_ms)
        for first in range(0, 5 * self.number, 5):
            for org in ("acme", "beta"):
                labels = TabLabels(f"of-{org}", org, "p", "k", "plan", "audio_second", "0123456789ab", "here")
                yield UsageEvent(labels, first, first + 4, 7, 1, 1, first, first, 1_000, is_last=False)


class Known:
    """What of a tab a resync looks at."""

    def __init__(self, recorded: int) -> None:
        self.recorded = recorded


async def test_events_are_given_again_once_after_each_loss_and_only_then_are_their_tabs_restored(
    redis_server: RedisServer,
) -> None:
    link = RedisLink(RedisSettings(urls=(SecretStr(redis_server.url),)))
    registry, failures, returns = CollectorRegistry(), [], []
    metrics = LimiterMetrics(registry)
    journal: Any = Recent(300)
    resync = Resync(
        QuotaCalls(link, ScriptRules(event_window_slices=5), metrics),
        journal,
        metrics,
        monotonic_ms=lambda: 0,
        since_ms=lambda: 500,
        failed=lambda away, _: failures.append(away.why),
        returned=lambda: returns.append(1),
    )
    young, old = Known(0), Known(5)
    assert resync.may_restore(young)  # type: ignore[arg-type]
    assert not resync.may_restore(old)  # type: ignore[arg-type]
    running = asyncio.create_task(resync.run())
    try:
        await until(lambda: len(returns) == 1)
        assert resync.may_restore(old)  # type: ignore[arg-type]
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(2_100,) * 3] * 2
        assert journal.asked_since_ms == [500]  # Redis may have forgotten that older ones are there

        resync.want()
        assert not resync.may_restore(old)  # type: ignore[arg-type]
        await until(lambda: len(returns) == 2)
        assert bill_in(redis_server) == (2_100,) * 3  # what is there is left out

        redis_server.restart_empty()
        resync.want()
        await until(lambda: len(returns) == 3)
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(2_100,) * 3] * 2
    finally:
        running.cancel()
        await asyncio.wait([running])
        await link.aclose()
