"""The types of plans: a caller's limits by level, the order of levels, and numbers that Lua holds exactly."""

from __future__ import annotations

import pytest

from policies.plans import (
    MAX_BURST,
    MAX_RATE_PER_S,
    CallerPlan,
    Level,
    LevelLimits,
    Principal,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
)

pytestmark = pytest.mark.unit


def test_each_level_has_its_own_limits() -> None:
    limits = {level: LevelLimits(max_sessions=number) for number, level in enumerate(Level)}
    plan = CallerPlan(
        name="gold",
        principal=Principal("acme", "", ""),
        key=limits[Level.key],
        project=limits[Level.project],
        org=limits[Level.org],
        max_session_ms=1_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=WhenLimiterAway.safe,
        rater=Rater.audio_second,
        rating_version="0" * 12,
        tier=Tier.standard,
    )
    assert {level: plan.of(level) for level in Level} == limits


def test_the_narrowest_level_comes_first_and_so_does_the_tier_that_is_served_first() -> None:
    assert list(Level) == [Level.key, Level.project, Level.org]
    assert list(Tier) == [Tier.premium, Tier.standard, Tier.economy]


def test_the_largest_numbers_are_exact_where_lua_multiplies_them() -> None:
    assert MAX_RATE_PER_S * 1_000_000 < 2**53
    assert MAX_BURST < 2**53
