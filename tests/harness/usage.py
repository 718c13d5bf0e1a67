"""Callers and what their sessions use, for tests of metering."""

from __future__ import annotations

from gateway.metering.entries import Slice, TabLabels
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

AT_MS = 1_780_000_000_000


def caller_plan(org: str = "acme", project: str = "desk", key: str = "0123456789abcdef") -> CallerPlan:
    """Compute that does not run out in a test."""
    roomy = LevelLimits(compute=Rate(per_s=1_000 * MICRO, burst=1_000_000 * MICRO))
    return CallerPlan(
        name="standard",
        principal=Principal(org, project, key),
        key=roomy,
        project=roomy,
        org=roomy,
        max_session_ms=3_600_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=WhenLimiterAway.safe,
        rater=Rater.audio_second,
        rating_version="0123456789ab",
        tier=Tier.standard,
    )


def labels_of(session_id: str, plan: CallerPlan | None = None) -> TabLabels:
    plan = plan or caller_plan()
    who = plan.principal
    return TabLabels(
        session_id=session_id,
        org=who.org,
        project=who.project,
        key=who.key,
        plan=plan.name,
        rater=plan.rater,
        rating_version=plan.rating_version,
        region="local",
    )


def piece_of(number: int, *, compute_us: int | None = None, at_ms: int | None = None) -> Slice:
    """The slice of that number: a second, with a cost that tells it from others."""
    return Slice(
        number=number,
        compute_us=10_000 + number if compute_us is None else compute_us,
        audio_ms=1_000,
        connection_ms=1_001,
        at_ms=AT_MS + number * 1_000 if at_ms is None else at_ms,
    )
