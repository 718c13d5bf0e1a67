"""A gateway by itself: never more than its share, at any level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.calls import RefusedFor
from gateway.limits.local_buckets import LocalBuckets
from policies.plans import MICRO, Level
from tests.harness.limited_gateway import limited, plan_of

pytestmark = pytest.mark.unit


class Clock:
    now_us = 0


def buckets(share_permille: int) -> tuple[LocalBuckets, Clock]:
    clock = Clock()
    return LocalBuckets(share_permille=share_permille, monotonic_us=lambda: clock.now_us), clock


def test_sessions_are_admitted_up_to_the_share_rounded_up_and_places_come_back() -> None:
    local, _ = buckets(300)
    plan = plan_of(org_limits=limited(max_sessions=5))  # 1.5
    assert [local.admit(plan, session_id=name, hold_us=0) for name in "ab"] == [None, None]
    refused = local.admit(plan, session_id="c", hold_us=0)
    assert refused is not None
    assert (refused.level, refused.limit) == (Level.org, RefusedFor.sessions)
    local.used("a", 0, is_over=True)
    local.used("a", 0, is_over=True)
    assert local.admit(plan, session_id="c", hold_us=0) is None
    assert local.admit(plan, session_id="d", hold_us=0) is not None
    local.reset()
    assert local.admit(plan, session_id="e", hold_us=0) is None


def test_a_refusal_takes_nothing_at_any_level_and_names_the_narrowest() -> None:
    local, _ = buckets(1_000)
    plan = plan_of(key_limits=limited(max_sessions=1), org_limits=limited(max_sessions=2))
    assert local.admit(plan, session_id="a", hold_us=0) is None
    for _ in range(5):
        refused = local.admit(plan, session_id="b", hold_us=0)
        assert refused is not None
        assert refused.level is Level.key
    assert local.admit(plan_of(org_limits=limited(max_sessions=2)), session_id="c", hold_us=0) is None


def test_levels_in_shadow_and_other_orgs_are_no_part_of_it() -> None:
    local, _ = buckets(1_000)
    shadow = plan_of(org_limits=limited(max_sessions=1, is_shadow=True))
    for name in "abc":
        assert local.admit(shadow, session_id=name, hold_us=0) is None
    for org in ("one", "two"):
        assert local.admit(plan_of(org, org_limits=limited(max_sessions=1)), session_id=org, hold_us=0) is None


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 60_000), st.booleans()), max_size=40),
)
def test_none_is_admitted_beyond_the_share_of_burst_and_rate(
    share_permille: int, steps: list[tuple[int, int, bool]]
) -> None:
    """Each step: time passes, all sessions use compute, one may end, and one more asks."""
    local, clock = buckets(share_permille)
    plan = plan_of(org_limits=limited(per_s=0.5, burst=1, starts_per_s=4))
    used_us: dict[str, int] = {}
    live: list[str] = []
    starts, hold_us = 0, 10_000
    for number, (elapsed_us, cost_us, ends) in enumerate(steps):
        clock.now_us += elapsed_us
        for name in live:
            used_us[name] += cost_us
            local.used(name, used_us[name], is_over=False)
        if ends and live:
            ended = live.pop(0)
            local.used(ended, used_us[ended], is_over=True)
        granted = 0.001 * share_permille * (MICRO + 0.5 * clock.now_us)
        name = f"s{number}"
        if local.admit(plan, session_id=name, hold_us=hold_us) is None:
            assert sum(used_us.values()) + hold_us <= granted + 1
            starts += 1
            live.append(name)
            used_us[name] = 0
        most_starts = -(-4 * share_permille // 1_000) + 4 * share_permille * clock.now_us / 1_000 / MICRO
        assert starts <= most_starts
