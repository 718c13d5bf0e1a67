"""Credit in compute becomes positions in audio."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.session.credit import QuotaUpdate, UsedSoFar
from gateway.session.origin import SessionOrigin
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


def begun_at(origin: SessionOrigin, granted_us: int = 0) -> SessionQuota:
    quota = with_credit(granted_us)
    quota.begin_at(origin)
    return quota


def test_audio_that_another_gateway_charged_goes_out_without_credit_and_costs_nothing() -> None:
    quota = begun_at(SessionOrigin(True, 1_000 * MS, 3, 1_000 * MS, 1_400 * MS))
    assert quota.through_sample == 1_400 * MS
    quota.consumed(1_400 * MS, 70)
    assert (quota.charged_us, quota.replayed_us, quota.consumed_ms) == (0, 70, 0)
    assert quota.charged_through_sample == 1_400 * MS


def test_audio_behind_what_was_charged_is_charged_and_needs_credit() -> None:
    quota = begun_at(SessionOrigin(True, 1_000 * MS, 3, 1_000 * MS, 1_400 * MS), 100_000)
    assert quota.through_sample == 1_500 * MS
    quota.consumed(1_500 * MS, 90)
    assert (quota.charged_us, quota.consumed_ms) == (90, 100)


def test_audio_before_the_last_commit_point_is_charged_again_to_who_asks_for_it_again() -> None:
    """Or the same audio could be recognised for nothing as often as one likes."""
    quota = begun_at(SessionOrigin(True, 0, 3, 1_000 * MS, 1_400 * MS), 500_000)
    assert quota.through_sample == 500 * MS
    quota.consumed(500 * MS, 40)
    quota.update(QuotaUpdate(2_000_000), 0)
    quota.consumed(1_000 * MS, 40)
    assert (quota.charged_us, quota.consumed_ms) == (80, 1_000)
    quota.consumed(1_400 * MS, 40)
    assert (quota.charged_us, quota.replayed_us, quota.consumed_ms) == (80, 40, 1_000)
    quota.consumed(1_500 * MS, 40)
    assert (quota.charged_us, quota.consumed_ms) == (120, 1_100)


@settings(deadline=None)
@given(
    start_ms=st.integers(0, 500),
    free_from_ms=st.integers(0, 900),
    charged_ms=st.integers(0, 1_500),
    steps=st.lists(st.integers(1, 300), max_size=20),
)
def test_each_piece_of_audio_is_charged_once_wherever_a_session_begins(
    start_ms: int, free_from_ms: int, charged_ms: int, steps: list[int]
) -> None:
    quota = begun_at(SessionOrigin(True, start_ms * MS, 1, free_from_ms * MS, charged_ms * MS))
    quota.update(QuotaUpdate(None), 0)
    at_ms = start_ms
    for step in steps:
        at_ms += step
        quota.consumed(at_ms * MS, 10)
        assert quota.charged_us + quota.replayed_us <= 10 * len(steps)
        assert 0 <= quota.consumed_ms <= at_ms - start_ms
    if at_ms > charged_ms:
        free_ms = max(0, charged_ms - max(start_ms, free_from_ms))
        # A step that ends in what is free is charged as a whole.
        assert at_ms - start_ms - free_ms <= quota.consumed_ms <= at_ms - start_ms - free_ms + 300


def test_what_a_standby_spends_and_hears_before_it_takes_over_is_ours() -> None:
    quota = with_credit(1_000_000)
    quota.consumed(100 * MS, 10)
    quota.standby_consumed(30)
    quota.engine_replaced(150 * MS)
    quota.consumed(150 * MS, 5)
    assert (quota.charged_us, quota.replayed_us, quota.consumed_ms) == (10, 35, 150)
    quota.consumed(200 * MS, 7)
    assert (quota.charged_us, quota.consumed_ms) == (17, 200)
