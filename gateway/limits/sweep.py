"""Sessions whose gateway died: their tabs are closed by whichever gateway finds them first.

These must stay true:
  - Only the script decides that a lease has expired, by Redis's clock and in the step that closes the tab.
  - What is looked at in a round is bounded, however many orgs there are; every org's turn comes.
  - Redis is given again what it may have lost before anything is swept: a sweep bills a session up to where Redis knows
    it, and what is billed already would be billed again.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.limits.calls import Close, Status
from gateway.metering.entries import TabLabels
from gateway.redis_link.errors import AwayReason, RedisAway
from policies.plans import CallerPlan, Level, LevelLimits, Principal, Rater, Tier, WhenExhausted, WhenLimiterAway

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from redis.asyncio import Redis

    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.quota_calls import QuotaCalls
    from gateway.redis_link.client import RedisLink

log = structlog.get_logger("gateway")

_ORGS_A_ROUND = 200
_SESSIONS_AN_ORG = 64
_TRIES = 2
"""A gateway that lives may renew a lease between two steps."""


class Sweep:
    """One per process."""

    def __init__(
        self,
        link: RedisLink,
        calls: QuotaCalls,
        metrics: LimiterMetrics,
        *,
        interval_ms: int,
        may_sweep: Callable[[], bool],
        ours: Container[str],
    ) -> None:
        self._link = link
        self._calls = calls
        self._metrics = metrics
        self._interval_ms = interval_ms
        self._may_sweep = may_sweep
        self._ours = ours
        self._cursor = 0

    async def run(self) -> None:
        """For ever. Gateways sweep at different times; a round that fails is left out."""
        while True:
            await asyncio.sleep(self._interval_ms * random.uniform(0.75, 1.25) / 1_000)
            if not self._may_sweep():
                continue
            try:
                await self.round()
            except RedisAway as away:
                self._metrics.failures.labels(away.why.value).inc()

    async def round(self) -> int:
        """Look at the next orgs; how many tabs were closed. Raises RedisAway."""
        cursor, orgs = await self._link.ask(
            lambda redis: redis.sscan(self._link.names.orgs, self._cursor, count=_ORGS_A_ROUND)
        )
        self._cursor = int(cursor)
        if not orgs:
            return 0
        seconds, micros = await self._link.ask(lambda redis: redis.time())
        now_ms = int(seconds) * 1_000 + int(micros) // 1_000
        num_swept = 0
        names = [_text(org) for org in orgs]
        expired = await self._link.ask(lambda redis: self._expired(redis, names, now_ms))
        for org, entries in zip(names, expired, strict=True):
            lost = [session_id for session_id in map(_text, entries) if session_id not in self._ours]
            try:
                num_swept += await self._close(org, lost) if lost else 0
            except RedisAway as away:
                if away.why is not AwayReason.broken:  # which is of that org alone
                    raise
                self._metrics.failures.labels(away.why.value).inc()
        if num_swept:
            self._metrics.swept.inc(num_swept)
            log.info("limiter.swept", tabs=num_swept)
        return num_swept

    async def close_one(self, org: str, session_id: str) -> bool:
        """Close the tab of a session of which its client says that it goes on elsewhere; whether it was done.

        Its lease is made to have expired, so that the rest is as with any that did. Should its gateway live after all,
        then what that gateway still settles is billed as it is after a sweep that came too early; the place that it
        takes by that is free when its own session ends.

        Raises:
            RedisAway: nothing is known of what was done.
        """
        key = self._link.names.leases(Principal(org, "", ""), Level.org)
        for _ in range(_TRIES):
            await self._link.ask(lambda redis: redis.zadd(key, {session_id: 0}, xx=True))
            if await self._close(org, [session_id]):
                return True
        return False

    async def _expired(self, redis: Redis, orgs: Sequence[str], now_ms: int) -> list[list[bytes]]:
        """For each org the sessions whose leases seem to have expired."""
        pipeline = self._link.pipeline(redis)
        for org in orgs:
            key = self._link.names.leases(Principal(org, "", ""), Level.org)
            pipeline.zrangebyscore(key, "-inf", now_ms, start=0, num=_SESSIONS_AN_ORG)
        found: list[list[bytes] | Exception] = await pipeline.execute(raise_on_error=False)
        return [[] if isinstance(entries, Exception) else entries for entries in found]

    async def _close(self, org: str, sessions: Sequence[str]) -> int:
        all_labels = await self._link.ask(lambda redis: self._labels(redis, org, sessions))
        closings = []
        for session_id, raw in zip(sessions, all_labels, strict=True):
            labels = _labels_of(raw, org, session_id)
            if labels is not None:
                closings.append(Close(labels=labels, plan=_without_limits(labels), is_swept=True))
        replies = await self._calls.one(org, closings) if closings else []
        return sum(reply.status is Status.ok for reply in replies)

    async def _labels(self, redis: Redis, org: str, sessions: Sequence[str]) -> list[bytes | None]:
        pipeline = self._link.pipeline(redis)
        for session_id in sessions:
            pipeline.hget(self._link.names.tab(org, session_id), "labels")
        found: list[bytes | None] = await pipeline.execute()
        return found


def _labels_of(raw: bytes | None, org: str, session_id: str) -> TabLabels | None:
    """None: they cannot be read. An entry without a tab gets labels that say enough to remove it."""
    if raw is None:
        return TabLabels(session_id, org, project="", key="", plan="", rater="", rating_version="", region="")
    try:
        return msgspec.json.decode(raw, type=TabLabels)
    except msgspec.MsgspecError:
        log.error("limiter.tab_unreadable", session=session_id)
        return None


def _without_limits(labels: TabLabels) -> CallerPlan:
    """Who it is, for the names of keys: a closing asks for nothing."""
    nothing = LevelLimits()
    return CallerPlan(
        name=labels.plan,
        principal=Principal(labels.org, labels.project, labels.key),
        key=nothing,
        project=nothing,
        org=nothing,
        max_session_ms=0,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=WhenLimiterAway.open,
        rater=Rater.audio_second,
        rating_version=labels.rating_version,
        tier=Tier.standard,
    )


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
