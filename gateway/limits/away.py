"""Whether Redis is there: the first call that fails says no, a probe that may write says yes again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.redis_link.client import reconnect_after_ms
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.limits.metrics import LimiterMetrics
    from gateway.redis_link.client import RedisLink
    from gateway.redis_link.errors import AwayReason

log = structlog.get_logger("gateway")

_SETTLED_MS = 10_000
"""Redis that stayed so long is trusted anew: the next probe after it comes soon."""


class Presence:
    """One per process. The first probe is due at once; until it fails, Redis counts as there."""

    def __init__(
        self, link: RedisLink, metrics: LimiterMetrics, monotonic_ms: Callable[[], int], *, first_probe_ms: int
    ) -> None:
        self.is_away = False
        self.why: AwayReason | None = None
        self._link = link
        self._metrics = metrics
        self._monotonic_ms = monotonic_ms
        self._first_probe_ms = first_probe_ms
        self._is_needed = asyncio.Event()
        self._is_needed.set()
        self._org = "probe"
        self._attempt = 0
        self._since_ms = monotonic_ms()

    def failed(self, away: RedisAway, org: str, *, began_at_ms: int) -> bool:
        """A call for that org, begun at that time, failed; whether that is news."""
        self._metrics.failures.labels(away.why.value).inc()
        # A call from before the last return says nothing of what came after it.
        if self.is_away or began_at_ms < self._since_ms or not away.was_asked:
            return False
        now_ms = self._monotonic_ms()
        if now_ms - self._since_ms > _SETTLED_MS:
            self._attempt = 0
        self.is_away, self.why, self._org, self._since_ms = True, away.why, org, now_ms
        self._metrics.is_away.set(1)
        self._is_needed.set()
        log.warning("limiter.away", reason=away.why.value, error=away.detail)
        return True

    async def run(self, *, on_back: Callable[[], None]) -> None:
        """Probe whenever that is needed, for ever. `on_back` is called at each return, the first contact included."""
        while True:
            await self._is_needed.wait()
            await self._until_there()
            self._is_needed.clear()
            self._back()
            on_back()

    async def _until_there(self) -> None:
        while True:
            try:
                if self.is_away:
                    await self._link.drop()
                await self._link.probe(self._org)
            except RedisAway as away:
                self.failed(away, self._org, began_at_ms=self._monotonic_ms())
                await asyncio.sleep(reconnect_after_ms(self._attempt, first_ms=self._first_probe_ms) / 1_000)
                self._attempt += 1
            else:
                return

    def _back(self) -> None:
        if not self.is_away:
            return
        now_ms = self._monotonic_ms()
        away_ms = now_ms - self._since_ms
        self.is_away, self.why, self._since_ms = False, None, now_ms
        self._metrics.is_away.set(0)
        self._metrics.away_seconds.inc(away_ms / 1_000)
        log.info("limiter.back", away_ms=away_ms)
