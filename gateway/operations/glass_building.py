"""The emergency permissions of one gateway, built of its settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.operations.glass_book import GlassBook
from gateway.operations.glass_metrics import GlassMetrics
from policies.residency.policy_time import PolicyClock

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from gateway.operations.settings import BreakGlassSettings
    from gateway.redis_link.client import RedisLink


def glass_book(
    settings: BreakGlassSettings, link: RedisLink | None, region: str, registry: CollectorRegistry
) -> GlassBook:
    """`link` None: the gateway is alone, and its permissions are its own. `run` it."""
    store = None
    if link is not None:
        from gateway.operations.glass_in_redis import RedisGlassStore

        store = RedisGlassStore(link, region)
    clock = PolicyClock(wall_s=time.time(), monotonic_s=time.monotonic())

    def now_s() -> float:
        return clock.now_s(wall_s=time.time(), monotonic_s=time.monotonic())

    return GlassBook(store, settings.copy_file, GlassMetrics(registry), now_s=now_s)
