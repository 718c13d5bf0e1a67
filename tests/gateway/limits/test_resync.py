"""Events that the journal has go to Redis again, before tabs that they are of are restored."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

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
    from collections.abc import AsyncIterator, Iterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


class Recent:
    """A journal that has so many events of each of two orgs."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.may_tell_others = threading.Event()
        self.may_tell_others.set()
        self.num_asked = 0

    def recent_events(self) -> Iterator[UsageEvent]:
        self.num_asked += 1
        if self.num_asked % 2 == 0:  # those of live sessions were asked for before
            self.may_tell_others.wait(10)
        for first in range(0, 5 * self.number, 5):
            for org in ("acme", "beta"):
                labels = TabLabels(f"of-{org}", org, "p", "k", "plan", "audio_second", "0123456789ab", "here")
                yield UsageEvent(labels, first, first + 4, 7, 1, 1, first, first, 1_000, is_last=False)


class Known:
    """What of a tab a resync looks at."""

    def __init__(self, recorded: int) -> None:
        self.recorded = recorded


async def test_tabs_of_live_sessions_do_not_wait_for_the_events_of_all_others(redis_server: RedisServer) -> None:
    async with resyncing(redis_server, Recent(300), live={"of-beta"}) as (resync, journal, returns):
        journal.may_tell_others.clear()
        await until(lambda: len(returns) == 1)
        assert resync.may_restore(Known(5))  # type: ignore[arg-type]
        assert not resync.is_done
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(0,) * 3, (2_100,) * 3]

        resync.want()
        assert not resync.may_restore(Known(5))  # type: ignore[arg-type]
        journal.may_tell_others.set()
        await until(lambda: resync.is_done)
        assert resync.may_restore(Known(5))  # type: ignore[arg-type]
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(2_100,) * 3] * 2


async def test_events_are_given_again_once_after_each_loss_and_only_then_are_their_tabs_restored(
    redis_server: RedisServer,
) -> None:
    async with resyncing(redis_server, Recent(300), live=set()) as (resync, _, _):
        young, old = Known(0), Known(5)
        assert resync.may_restore(young)  # type: ignore[arg-type]
        assert not resync.may_restore(old)  # type: ignore[arg-type]
        await until(lambda: resync.is_done)
        assert resync.may_restore(old)  # type: ignore[arg-type]
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(2_100,) * 3] * 2

        resync.want()
        assert not resync.may_restore(old)  # type: ignore[arg-type]
        await until(lambda: resync.is_done)
        assert bill_in(redis_server) == (2_100,) * 3  # what is there is left out

        redis_server.restart_empty()
        resync.want()
        await until(lambda: resync.is_done)
        assert [bill_in(redis_server, org) for org in ("acme", "beta")] == [(2_100,) * 3] * 2


@contextlib.asynccontextmanager
async def resyncing(
    server: RedisServer, journal: Recent, *, live: set[str]
) -> AsyncIterator[tuple[Resync, Recent, list[int]]]:
    """One that runs, with its journal, and a list that grows when tabs may be restored."""
    link = RedisLink(RedisSettings(urls=(SecretStr(server.url),)))
    metrics, returns = LimiterMetrics(CollectorRegistry()), list[int]()
    resync = Resync(
        QuotaCalls(link, ScriptRules(event_window_slices=5), metrics),
        journal.recent_events,
        metrics,
        monotonic_ms=lambda: 0,
        ours=live,
        failed=lambda _away, _began_at_ms: None,
        returned=lambda: returns.append(1),
    )
    running = asyncio.create_task(resync.run())
    try:
        yield resync, journal, returns
    finally:
        running.cancel()
        await asyncio.wait([running])
        await link.aclose()
