"""What limits the sessions of one gateway: plans, Redis, the journal, lending between regions, revocations.

Built from settings once. Without a Redis in them compute is not limited, and each process counts sessions alone. What
only some settings need is loaded where they say so: Redis's client takes as much memory as several hundred sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.admission.admit import LocalSessionLimits
from gateway.admission.revocation_check import NothingRevoked
from gateway.errors import Reason
from gateway.escrow.rates import rate_in
from gateway.limits.plans_file import Plans, PlansRefused
from gateway.limits.plans_metrics import PlansMetrics
from gateway.metering.errors import JournalUnusable
from gateway.metering.journal import FileJournal
from gateway.metering.journal_metrics import JournalMetrics
from gateway.settings import SettingsRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from prometheus_client import CollectorRegistry

    from gateway.admission.metrics import AdmissionMetrics
    from gateway.admission.revocation_check import RevocationCheck
    from gateway.escrow.escrow import Escrow
    from gateway.limits.interface import SessionLimits
    from gateway.limits.limiter import RedisSessionLimits
    from gateway.redis_link.client import RedisLink
    from gateway.redis_link.settings import RedisSettings
    from gateway.session_registry import SessionRegistry
    from gateway.settings import GatewaySettings
    from policies.plans import Level, Principal, Rate

    Task = Callable[[], Coroutine[Any, Any, None]]


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Limiting:
    """The parts that admission asks. `run` while the gateway serves; when cancelled it settles what is left."""

    limits: SessionLimits
    revocations: RevocationCheck
    run: Task


def read_plans_of(settings: GatewaySettings, registry: CollectorRegistry) -> Plans:
    """The plans in force at start.

    Raises:
        SettingsRefused: the plans file cannot be used; every mistake in it.
    """
    limits = settings.limits
    try:
        return Plans(
            limits.plans_file,
            least_compute_burst=limits.credit.opening_hold_us(),
            look_interval_ms=limits.plans_look_interval_ms,
            metrics=PlansMetrics(registry),
        )
    except PlansRefused as refused:
        raise SettingsRefused([f"limits.plans_file: {mistake}" for mistake in refused.mistakes]) from None


@contextlib.asynccontextmanager
async def limiting(
    settings: GatewaySettings, plans: Plans, sessions: SessionRegistry, metrics: AdmissionMetrics
) -> AsyncIterator[Limiting]:
    """Parts that are not running yet.

    Raises:
        SettingsRefused: the journal's directory cannot be used, or `escrow` has no Redis.
    """
    redis = settings.limits.redis
    if redis is None and settings.escrow is not None:
        raise SettingsRefused(["escrow: needs limits.redis; what is lent is kept there"])
    if redis is None:
        yield Limiting(LocalSessionLimits(settings.admission), NothingRevoked(), plans.run)
        return
    async with contextlib.AsyncExitStack() as stack:
        yield await _with_redis(stack, settings, redis, plans, sessions, metrics)


async def _with_redis(
    stack: contextlib.AsyncExitStack,
    settings: GatewaySettings,
    redis: RedisSettings,
    plans: Plans,
    sessions: SessionRegistry,
    metrics: AdmissionMetrics,
) -> Limiting:
    from gateway.admission.revocation_feed import RevocationFeed
    from gateway.admission.revocation_log import RevocationLog
    from gateway.limits.limiter import LimiterParts, RedisSessionLimits
    from gateway.limits.metrics import LimiterMetrics

    registry = metrics.registry
    journal = _journal(settings, registry)
    stack.push_async_callback(journal.close)
    lending = _lending(stack, settings, redis, plans, registry)
    limiter = RedisSessionLimits(
        settings.limits,
        LimiterParts(
            link=_linked(stack, redis),
            plans=plans if lending is None else lending.plans(plans),
            journal=journal,
            metrics=LimiterMetrics(registry),
            region=settings.region,
            monotonic_ms=monotonic_ms,
            unix_ms=unix_ms,
        ),
    )
    revocations = settings.tokens.revocations
    records = RevocationLog(
        _linked(stack, redis), max_life_s=settings.tokens.max_life_s, max_entries=revocations.max_entries
    )
    feed = RevocationFeed(
        records,
        revocations,
        metrics,
        lambda is_meant: sessions.end_those_of(is_meant, Reason.token_revoked),
        now_s=lambda: int(time.time()),
        monotonic_s=time.monotonic,
    )
    await feed.poll()  # or the first sessions after a restart could be of revoked tokens
    tasks: list[Task] = [plans.run, limiter.run, feed.run]
    limits: SessionLimits = limiter
    if lending is not None:
        limits = lending.limits(limiter)
        tasks.append(lending.run)
    # This process's own bounds come first: they cost nothing to ask.
    limits = LocalSessionLimits(settings.admission, limits)
    return Limiting(limits, feed, lambda: _run(journal, limiter, tasks))


def _lending(
    stack: contextlib.AsyncExitStack,
    settings: GatewaySettings,
    redis: RedisSettings,
    plans: Plans,
    registry: CollectorRegistry,
) -> Escrow | None:
    """None: this region has all of its compute itself."""
    if settings.escrow is None:
        return None
    from gateway.escrow.escrow import Escrow
    from gateway.escrow.metrics import EscrowMetrics

    link = _linked(stack, redis)
    return Escrow(settings.escrow, link, _rate_by(plans), EscrowMetrics(registry), region=settings.region)


async def _run(journal: FileJournal, limiter: RedisSessionLimits, tasks: Iterable[Task]) -> None:
    """All of them. When it is cancelled, the journal goes on until the limiter has settled what it can."""
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(journal.run())
        try:
            async with asyncio.TaskGroup() as working:
                for task in tasks:
                    working.create_task(task())
        finally:
            await limiter.close()
            writing.cancel()


def _linked(stack: contextlib.AsyncExitStack, redis: RedisSettings) -> RedisLink:
    """A link of its own for each part: one that is slow holds up no other."""
    from gateway.redis_link.client import RedisLink

    link = RedisLink(redis)
    stack.push_async_callback(link.aclose)
    return link


def _journal(settings: GatewaySettings, registry: CollectorRegistry) -> FileJournal:
    limits = settings.limits
    if limits.journal is None:
        raise SettingsRefused(["limits.journal: needed with limits.redis"])
    try:
        return FileJournal(limits.journal, JournalMetrics(registry), window_slices=limits.event_window_slices)
    except JournalUnusable as error:
        raise SettingsRefused([f"limits.journal: {error}"]) from None


def _rate_by(plans: Plans) -> Callable[[Principal, str, Level], Rate | None]:
    return lambda who, plan, level: rate_in(plans.current(), who, plan, level)
