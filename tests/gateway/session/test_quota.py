"""Credit in compute becomes positions in audio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.session.credit import QuotaUpdate, UsedSoFar
from gateway.session.quota import UNLIMITED_SAMPLE, SessionQuota
from gateway.session.search import NEVER_MS
from gateway.wire.messages import Usage
from policies.plans import Level, WhenExhausted
from tests.fakes.quota import quota_rules, unlimited_quota

pytestmark = pytest.mark.unit

MS = 16


def with_credit(granted_us: int) -> SessionQuota:
    """A second of compute buys a second of audio."""
    return SessionQuota(quota_rules(), QuotaUpdate(granted_us), 0)


def test_credit_buys_audio_at_the_reserved_price() -> None:
    assert with_credit(500_000).through_sample == 500 * MS
    assert with_credit(0).through_sample == 0


def test_what_costs_less_than_reserved_lets_more_audio_go() -> None:
    quota = with_credit(500_000)
    quota.consumed(100 * MS, 20_000)
    assert quota.through_sample == 580 * MS
    assert (quota.charged_us, quota.consumed_ms) == (20_000, 100)


def test_what_was_allowed_once_stays_allowed_when_it_cost_more_than_reserved() -> None:
    quota = with_credit(500_000)
    quota.consumed(100 * MS, 900_000)
    assert quota.through_sample == 500 * MS


def test_replays_are_neither_charged_nor_counted() -> None:
    quota = with_credit(500_000)
    quota.consumed(100 * MS, 20_000)
    quota.engine_lost()
    quota.consumed(60 * MS, 11_000)
    quota.consumed(100 * MS, 9_000)
    assert (quota.charged_us, quota.replayed_us, quota.consumed_ms) == (20_000, 20_000, 100)
    quota.consumed(150 * MS, 10_000)
    assert (quota.charged_us, quota.consumed_ms) == (30_000, 150)


def test_compute_without_new_audio_is_charged() -> None:
    quota = with_credit(500_000)
    quota.consumed(100 * MS, 20_000)
    quota.consumed(100 * MS, 5_000)
    assert (quota.charged_us, quota.consumed_ms) == (25_000, 100)


def test_without_a_limit_everything_may_go_and_when_it_holds_again_only_what_is_paid() -> None:
    quota = unlimited_quota()
    assert quota.through_sample == UNLIMITED_SAMPLE
    quota.consumed(100 * MS, 20_000)
    quota.update(QuotaUpdate(20_000 + 50_000), 0)
    assert quota.through_sample == 150 * MS


def test_a_session_wishes_for_what_waits_and_for_some_time_ahead() -> None:
    quota = with_credit(1_000_000)
    quota.consumed(100 * MS, 20_000)
    used = quota.used_so_far(sent_sample=150 * MS, end_sample=400 * MS, has_more=True)
    # in flight 50 ms, waiting 300 ms of which as much as is wished ahead counts, 200 ms ahead, pieces of 50 ms
    assert used == UsedSoFar(compute_us=20_000, audio_ms=100, wanted_us=20_000 + 450_000, least_us=20_000 + 100_000)
    idle = quota.used_so_far(sent_sample=100 * MS, end_sample=100 * MS, has_more=False)
    assert idle == UsedSoFar(compute_us=20_000, audio_ms=100, wanted_us=20_000, least_us=20_000)


def test_the_client_is_told_now_and_then_and_when_it_begins_or_ends_to_wait() -> None:
    quota = with_credit(1_000_000)
    assert not quota.is_worth_telling(9_999)
    assert quota.is_worth_telling(10_000)
    assert not quota.is_worth_telling(10_001)
    quota.update(QuotaUpdate(1_000_000, 7, Level.project, 1_500), 0)
    assert not quota.is_worth_telling(10_999)
    assert quota.is_worth_telling(11_000)
    assert quota.usage(40) == Usage(40, 0, remaining_us=7, level="project", is_throttled=True, retry_after_ms=1_500)
    assert not quota.is_worth_telling(12_000)
    quota.update(QuotaUpdate(2_000_000, 9, Level.project), 0)
    assert quota.is_worth_telling(12_001)


def test_without_a_limit_there_is_nothing_to_tell() -> None:
    assert not unlimited_quota().is_worth_telling(1_000_000)


@given(
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 300_000), st.integers(0, 300_000)), max_size=30),
)
def test_in_the_worst_case_mode_credit_is_never_overdrawn(steps: list[tuple[int, int, int]]) -> None:
    """Audio is consumed as far as it may go, at any price up to the reserved one."""
    quota = with_credit(0)
    granted_us, consumed = 0, 0
    for samples, price_permille, more_us in steps:
        granted_us += more_us
        quota.update(QuotaUpdate(granted_us), 0)
        end = min(consumed + samples, quota.through_sample)
        cost_us = (end - consumed) * 1_000_000 // 16_000 * min(price_permille, 1_000) // 1_000
        consumed = end
        quota.consumed(consumed, cost_us)
        assert quota.charged_us <= granted_us


def test_a_plan_that_finishes_waits_a_little_whether_credit_comes_after_all() -> None:
    quota = SessionQuota(quota_rules(WhenExhausted.finish, finish_after_ms=1_500), QuotaUpdate(0), 0)
    assert quota.finishes_at_ms == NEVER_MS
    quota.update(QuotaUpdate(0, retry_after_ms=100), 1_000)
    quota.update(QuotaUpdate(0, retry_after_ms=100), 2_000)
    assert quota.finishes_at_ms == 2_500
    quota.update(QuotaUpdate(50_000), 2_400)
    assert quota.finishes_at_ms == NEVER_MS


def test_what_the_plan_says_by_now_counts() -> None:
    quota = SessionQuota(quota_rules(WhenExhausted.finish), QuotaUpdate(0), 0)
    quota.update(QuotaUpdate(0, retry_after_ms=100, when_exhausted=WhenExhausted.throttle), 10)
    assert quota.finishes_at_ms == NEVER_MS
    quota.update(QuotaUpdate(0, retry_after_ms=100, when_exhausted=WhenExhausted.finish), 20)
    assert quota.finishes_at_ms == 20
