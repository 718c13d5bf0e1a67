"""The limits of plans, kept in Redis for all gateways of a region, and by each gateway alone while Redis is away."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.errors import QuotaRefused, Reason, SessionRefused, Unavailable
from gateway.limits.away import Presence
from gateway.limits.calls import Open, RefusedFor, Status
from gateway.limits.local_buckets import LocalBuckets
from gateway.limits.quota_calls import QuotaCalls
from gateway.limits.resync import Resync
from gateway.limits.script_codec import ScriptRules
from gateway.limits.sweep import Sweep
from gateway.limits.tabs import UNLIMITED, Tab, TabHouse
from gateway.limits.tick import Ticker
from gateway.limits.turns import TurnRules
from gateway.metering.entries import TabLabels
from gateway.redis_link.errors import RedisAway
from gateway.session.credit import QuotaUpdate
from policies.plans import MICRO, WhenLimiterAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.limits.calls import Reply
    from gateway.limits.interface import SessionTab
    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.settings import LimitSettings
    from gateway.metering.journal_interface import Journal
    from gateway.redis_link.client import RedisLink
    from policies.plans import CallerPlan, Level, Rate

log = structlog.get_logger("gateway")

_LEAST_TAB_TTL_S = 172_800


class CurrentPlans(Protocol):
    """The plans in force."""

    @property
    def version(self) -> object:
        """Another one whenever any plan may have changed."""

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        """What holds by now for who had that plan; None: it is no longer known. Does not wait."""


@dataclass(frozen=True, slots=True)
class LimiterParts:
    """What the limiter works with. Clocks: `monotonic_ms` for all waiting, `unix_ms` for the hour of the bill."""

    link: RedisLink
    plans: CurrentPlans
    journal: Journal
    metrics: LimiterMetrics
    region: str
    monotonic_ms: Callable[[], int]
    unix_ms: Callable[[], int]


class RedisSessionLimits:
    """SessionLimits of all gateways of a region together. `run` while the process lives, then `close`."""

    def __init__(self, settings: LimitSettings, parts: LimiterParts) -> None:
        self._settings = settings
        self._parts = parts
        retention_s = 0 if settings.journal is None else settings.journal.retention_s
        rules = ScriptRules(
            lease_ttl_ms=settings.lease_ttl_ms,
            event_window_slices=settings.event_window_slices,
            tab_ttl_s=max(_LEAST_TAB_TTL_S, 2 * retention_s),
        )
        self._calls = QuotaCalls(parts.link, rules, parts.metrics)
        self._presence = Presence(
            parts.link, parts.metrics, parts.monotonic_ms, first_probe_ms=settings.away.first_probe_ms
        )
        self._house = TabHouse(parts.journal, parts.monotonic_ms, parts.unix_ms)
        turns = TurnRules(
            tick_ms=settings.tick_ms,
            slice_ms=settings.slice_ms,
            away_slice_ms=settings.away.slice_ms,
            lease_ttl_ms=settings.lease_ttl_ms,
        )
        self._ticker = Ticker(
            self._calls, self._presence, self._house, turns, parts.metrics, refresh_plan=self._refresh_plan
        )
        self._local = LocalBuckets(
            share_permille=settings.away.safe_share_permille, monotonic_us=lambda: parts.monotonic_ms() * 1_000
        )
        self._resync = Resync(
            self._calls,
            lambda: parts.journal.recent_events(since_ms=parts.unix_ms() - retention_s * 1_000),
            parts.metrics,
            monotonic_ms=parts.monotonic_ms,
            ours=self._ticker.tabs,
            failed=lambda away, began_at_ms: self._ticker.failed(away, "probe", began_at_ms=began_at_ms),
            returned=self._ticker.look_at_all,
        )
        self._sweep = Sweep(
            parts.link,
            self._calls,
            parts.metrics,
            interval_ms=settings.sweep_interval_ms,
            may_sweep=lambda: self._resync.is_done and not self._presence.is_away,
            ours=self._ticker.tabs,
        )
        self._ticker.may_restore = self._resync.may_restore
        self._ticker.on_loss = self._resync.want
        parts.link.on_loss = self._lost
        self._ticker.used_away = self._used_away

    @property
    def is_away(self) -> bool:
        """Whether Redis cannot be asked at present."""
        return self._presence.is_away

    async def run(self) -> None:
        """For ever. Begins with what earlier processes of this journal left: it is billed, and its places are freed."""
        self._take_over()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.run(on_back=self._is_back))
            tasks.create_task(self._ticker.run())
            tasks.create_task(self._resync.run())
            tasks.create_task(self._sweep.run())

    async def close(self) -> None:
        """After `run`: settle what can be settled in the time that the settings give; the journal keeps the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.close_timeout_ms / 1_000):
                await self._ticker.flush()
        if self._ticker.tabs:
            log.warning("limiter.unsettled", tabs=len(self._ticker.tabs))

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        """See gateway.limits.interface.SessionLimits."""
        labels = self._labels(plan, session_id)
        tab = Tab(labels, plan, self._house)
        tab.plans_version = self._parts.plans.version
        if self._presence.is_away or self._ticker.is_broken(labels.org):
            return self._admit_away(tab, was_asked=False)
        began_at_ms = self._parts.monotonic_ms()
        credit, most_us = self._settings.credit, tab.burst_us or 0
        hold_us = min(credit.opening_hold_us(), most_us)
        opening = Open(labels, plan, hold_us, min(credit.least_opening_hold_us(), hold_us))
        try:
            (reply,) = await self._calls.one(labels.org, [opening])
        except RedisAway as away:
            self._ticker.failed_for(away, labels.org, began_at_ms=began_at_ms)
            return self._admit_away(tab, was_asked=away.was_asked)
        except asyncio.CancelledError:
            self._abandon(tab)
            raise
        self._note_shadow(reply, plan)
        if reply.status is Status.refused:
            raise self._refusal(plan, reply)
        if tab.is_limited:
            tab.granted_us = reply.settled_us + reply.held_us
            tab.opening = QuotaUpdate(tab.granted_us, reply.remaining_us, reply.level)
        tab.renew_at_ms = began_at_ms + self._settings.lease_ttl_ms // 3
        self._ticker.add(tab)
        return tab

    async def close_left(self, org: str, tab_id: str) -> None:
        """See gateway.limits.interface.SessionLimits."""
        if self._presence.is_away or not self._resync.is_done:
            return
        try:
            await self._sweep.close_one(org, tab_id)
        except RedisAway as away:
            self._parts.metrics.failures.labels(away.why.value).inc()

    def _take_over(self) -> None:
        for left in self._parts.journal.left_open():
            plan = left.plan
            tab = Tab(left.labels, plan, self._house)
            tab.take_over(left)
            self._ticker.add(tab)

    def _is_back(self) -> None:
        self._local.reset()
        self._ticker.look_at_all()

    def _lost(self) -> None:
        """Redis may lack what was written last."""
        self._resync.want()
        self._ticker.tell_labels_again()

    def _used_away(self, tab: Tab) -> None:
        self._local.used(tab.session_id, tab.compute_us, is_over=tab.is_over)

    def _admit_away(self, tab: Tab, *, was_asked: bool) -> SessionTab:
        """Redis cannot be asked: what the plan says then. Raises Unavailable or QuotaRefused.

        `was_asked`: it may have given a place, and the answer was lost.
        """
        mode = tab.plan.when_limiter_away
        refusal: SessionRefused | None = None
        if mode is WhenLimiterAway.closed:
            refusal = Unavailable(Reason.limiter_unavailable)
        elif mode is WhenLimiterAway.safe:
            refusal = self._refusal_by_share(tab)
        if refusal is not None:
            if was_asked:
                self._abandon(tab)
            raise refusal
        self._parts.metrics.admitted_away.labels(mode.value).inc()
        tab.needs_restore = True
        tab.opening = UNLIMITED
        self._ticker.add(tab)
        return tab

    def _refusal_by_share(self, tab: Tab) -> QuotaRefused | None:
        hold_us = min(self._settings.credit.least_opening_hold_us(), self._local_burst_us(tab))
        refusal = self._local.admit(tab.plan, session_id=tab.session_id, hold_us=hold_us)
        if refusal is None:
            return None
        self._parts.metrics.refusals.labels(refusal.limit.value, refusal.level.value).inc()
        return refusal_of(
            tab.plan,
            refusal.limit,
            refusal.level,
            remaining_us=refusal.remaining_us,
            retry_after_ms=refusal.retry_after_ms,
        )

    def _local_burst_us(self, tab: Tab) -> int:
        """A credit that the share could never hold would admit nobody."""
        return (tab.burst_us or 0) * self._settings.away.safe_share_permille // 1_000

    def _abandon(self, tab: Tab) -> None:
        """Nobody waits for the answer any more, or it never came: should a place have been taken, it is given back."""
        tab.release()
        self._ticker.add(tab)

    def _labels(self, plan: CallerPlan, session_id: str) -> TabLabels:
        who = plan.principal
        return TabLabels(
            session_id=session_id,
            org=who.org,
            project=who.project,
            key=who.key,
            plan=plan.name,
            rater=plan.rater.value,
            rating_version=plan.rating_version,
            region=self._parts.region,
        )

    def _refresh_plan(self, tab: Tab) -> None:
        version = self._parts.plans.version
        if tab.plans_version == version:
            return
        tab.plans_version = version
        plan = self._parts.plans.resolve_again(tab.plan)
        if plan is not None:
            tab.set_plan(plan)

    def _note_shadow(self, reply: Reply, plan: CallerPlan) -> None:
        if reply.shadow_for is None or reply.shadow_level is None:
            return
        self._parts.metrics.shadow_refusals.labels(reply.shadow_for.value, reply.shadow_level.value).inc()
        log.info("limiter.shadow_refused", limit=reply.shadow_for.value, level=reply.shadow_level.value, plan=plan.name)

    def _refusal(self, plan: CallerPlan, reply: Reply) -> QuotaRefused:
        limit, level = reply.refused_for, reply.level
        if limit is None or level is None:
            raise RuntimeError("the script refused and did not say what")
        self._parts.metrics.refusals.labels(limit.value, level.value).inc()
        return refusal_of(plan, limit, level, remaining_us=reply.remaining_us, retry_after_ms=reply.retry_after_ms)


_LEAST_RETRY_MS = 1_000


def refusal_of(
    plan: CallerPlan, limit: RefusedFor, level: Level, *, remaining_us: int | None, retry_after_ms: int | None
) -> QuotaRefused:
    """The refusal of a session in the words and numbers of the limit that refused it."""
    limits = plan.of(level)
    wait_ms = _LEAST_RETRY_MS if retry_after_ms is None else retry_after_ms
    match limit:
        case RefusedFor.sessions:
            most = limits.max_sessions or 0
            detail = f"the {level} has {most} sessions open, as many as its plan allows"
            return QuotaRefused(
                Reason.concurrency_limit, detail, retry_after_ms=wait_ms, level=level, remaining=0, limit=most
            )
        case RefusedFor.starts:
            most = 0 if limits.starts is None else limits.starts.burst // MICRO
            detail = f"the {level} opens sessions faster than its plan allows"
            return QuotaRefused(
                Reason.start_rate_limit,
                detail,
                retry_after_ms=wait_ms,
                level=level,
                remaining=0,
                limit=most,
                window_s=_window_s(limits.starts),
            )
        case RefusedFor.compute:
            most = 0 if limits.compute is None else limits.compute.burst
            detail = f"the {level} has used up the compute of its plan"
            return QuotaRefused(
                Reason.quota_exhausted,
                detail,
                retry_after_ms=wait_ms,
                level=level,
                remaining=max(0, remaining_us or 0),
                limit=most,
                window_s=_window_s(limits.compute),
            )


def _window_s(rate: Rate | None) -> int | None:
    """How long a bucket takes to fill from nothing; None: it does not fill by time."""
    if rate is None or rate.per_s <= 0:
        return None
    return max(1, -(-rate.burst // rate.per_s))
