"""The limiter of one gateway as a test runs it: a real link and journal, and sessions that spend as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import redis
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.limits.limiter import LimiterParts, RedisSessionLimits
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.settings import AwaySettings, CreditSettings, LimitSettings
from gateway.limits.tabs import Tab
from gateway.metering.journal import FileJournal
from gateway.metering.journal_metrics import JournalMetrics
from gateway.metering.settings import JournalSettings
from gateway.metering.stream_entries import decode_event
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from gateway.session.credit import UsedSoFar
from policies.plans import (
    MICRO,
    CallerPlan,
    LevelLimits,
    Principal,
    Rate,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.session.credit import QuotaUpdate
    from tests.harness.redis_server import RedisServer

US_PER_AUDIO_S = 100_000


def limited(
    *,
    per_s: float | None = None,
    burst: float = 10,
    max_sessions: int | None = None,
    starts_per_s: int | None = None,
    is_shadow: bool = False,
) -> LevelLimits:
    """In compute-seconds and starts."""
    return LevelLimits(
        compute=None if per_s is None else Rate(int(per_s * MICRO), int(burst * MICRO)),
        max_sessions=max_sessions,
        starts=None if starts_per_s is None else Rate(starts_per_s * MICRO, starts_per_s * MICRO),
        is_shadow=is_shadow,
    )


def plan_of(
    org: str = "acme",
    *,
    away: WhenLimiterAway = WhenLimiterAway.safe,
    org_limits: LevelLimits | None = None,
    key_limits: LevelLimits | None = None,
) -> CallerPlan:
    """A plan with ample compute, unless it says otherwise."""
    return CallerPlan(
        name=f"{away.value}-plan",
        principal=Principal(org, "speech", "88fa0d759f845b47"),
        key=key_limits or LevelLimits(),
        project=LevelLimits(),
        org=org_limits or limited(per_s=100, burst=1_000),
        max_session_ms=3_600_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=away,
        rater=Rater.audio_second,
        rating_version="0123456789ab",
        tier=Tier.standard,
    )


class UnchangedPlans:
    """The plans' resolver; a test may put another plan in force."""

    def __init__(self) -> None:
        self.version = 0
        self.plan: CallerPlan | None = None

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        return self.plan or plan


class SpendingSession:
    """A session whose engines spend what the test says, but never more than is granted where a limit holds."""

    def __init__(self, tab: Tab, *, ahead_ms: int = 1_000) -> None:
        self.tab = tab
        self.compute_us = 0
        self.audio_ms = 0
        self.news: list[QuotaUpdate] = [tab.opening]
        self.ran_dry = 0
        """How often a spending had to wait for credit."""
        self._ahead_us = ahead_ms * US_PER_AUDIO_S // 1_000
        self._wanted_us = 0

    @property
    def granted_us(self) -> int | None:
        return self.news[-1].granted_us

    @property
    def is_unlimited(self) -> bool:
        return self.granted_us is None

    def spend(self, compute_us: int) -> bool:
        """Whether the credit allowed it."""
        if self.granted_us is not None and self.compute_us + compute_us > self.granted_us:
            self._wanted_us = compute_us
            self.ran_dry += 1
            return False
        self._wanted_us = 0
        self.compute_us += compute_us
        self.audio_ms += compute_us * 1_000 // US_PER_AUDIO_S
        return True

    def used_so_far(self) -> UsedSoFar:
        return UsedSoFar(
            self.compute_us,
            self.audio_ms,
            wanted_us=self.compute_us + self._ahead_us,
            least_us=self.compute_us + self._wanted_us,
        )

    def quota_update(self, update: QuotaUpdate) -> None:
        self.news.append(update)


def settings_of(url: str, directory: Path, *, call_timeout_ms: int = 900, **changes: Any) -> LimitSettings:
    """Quick ones, so that a test waits for nothing. `changes` go over them."""
    quick: dict[str, Any] = {
        "redis": RedisSettings(urls=(SecretStr(url),), connect_timeout_ms=2_000, call_timeout_ms=call_timeout_ms),
        "journal": JournalSettings(directory=directory, group_commit_ms=5),
        "tick_ms": 20,
        "slice_ms": 60,
        "lease_ttl_ms": 1_500,
        "event_window_slices": 5,
        "sweep_interval_ms": 200,
        "credit": CreditSettings(
            worst_case_us_per_audio_s=US_PER_AUDIO_S, ahead_ms=1_000, opening_ms=1_000, least_opening_ms=100
        ),
        "away": AwaySettings(safe_share_permille=500, slice_ms=100, first_probe_ms=20),
    }
    return LimitSettings(**{**quick, **changes})


class LimitedGateway:
    """What a gateway process has of it."""

    def __init__(self, settings: LimitSettings) -> None:
        assert settings.redis is not None
        assert settings.journal is not None
        self.registry = CollectorRegistry()
        self.link = RedisLink(settings.redis)
        self.plans = UnchangedPlans()
        self.journal = FileJournal(
            settings.journal, JournalMetrics(self.registry), window_slices=settings.event_window_slices
        )
        self.limits = RedisSessionLimits(
            settings,
            LimiterParts(
                link=self.link,
                plans=self.plans,
                journal=self.journal,
                metrics=LimiterMetrics(self.registry),
                region="here",
                monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
                unix_ms=lambda: time.time_ns() // 1_000_000,
            ),
        )
        self._opened = 0

    async def open(self, plan: CallerPlan, *, ahead_ms: int = 1_000) -> SpendingSession:
        """Raises what `acquire` raises."""
        self._opened += 1
        tab = await self.limits.acquire(plan, session_id=f"{id(self):x}{self._opened:08x}")
        assert isinstance(tab, Tab)
        session = SpendingSession(tab, ahead_ms=ahead_ms)
        tab.attach(session, add_ons=())
        return session

    def figure(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def num_tabs(self) -> int:
        return int(self.figure("patchbay_limiter_tabs"))


def bill_in(server: RedisServer, org: str = "acme") -> tuple[int, int, int]:
    """What is settled, what is recorded, and what the stream's events say, each counted once by its id."""
    with redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5) as client:
        tally = client.hgetall(f"patchbay:{{{org}}}:tally")
        stream = client.xrange(f"patchbay:{{{org}}}:meter")
    settled_us = sum(int(value) for field, value in tally.items() if field.endswith(b":settled_us"))
    recorded_us = sum(int(value) for field, value in tally.items() if field.endswith(b":recorded_us"))
    events = {event.id: event.compute_us for event in (decode_event(fields) for _, fields in stream)}
    return settled_us, recorded_us, sum(events.values())


@contextlib.asynccontextmanager
async def running(settings: LimitSettings) -> AsyncIterator[LimitedGateway]:
    """A gateway that runs, and in the end closes in order."""
    gateway = LimitedGateway(settings)
    async with asyncio.TaskGroup() as tasks:
        journaling = tasks.create_task(gateway.journal.run())
        limiting = tasks.create_task(gateway.limits.run())
        try:
            yield gateway
        finally:
            limiting.cancel()
            await asyncio.wait([limiting])
            await gateway.limits.close()
            journaling.cancel()
    await gateway.journal.close()
    await gateway.link.aclose()
