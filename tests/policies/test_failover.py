"""Rules of the search for another engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.failover import GiveUp, RecoveryLimits, give_up, retry_delay_ms

pytestmark = pytest.mark.unit

LIMITS = RecoveryLimits(first_delay_ms=50, max_delay_ms=1_000, timeout_ms=10_000, max_losses=5)


def test_the_first_try_does_not_wait() -> None:
    assert retry_delay_ms(0, jitter_permille=999, limits=LIMITS) == 0


@given(attempt=st.integers(1, 10_000), jitter=st.integers(0, 999))
def test_delays_stay_between_half_and_all_of_their_ceiling(attempt: int, jitter: int) -> None:
    delay_ms = retry_delay_ms(attempt, jitter_permille=jitter, limits=LIMITS)
    ceiling_ms = min(1_000, 50 * 2 ** min(attempt - 1, 20))
    assert ceiling_ms // 2 <= delay_ms <= ceiling_ms


@given(attempt=st.integers(1, 30))
def test_sessions_with_different_jitter_do_not_come_back_together(attempt: int) -> None:
    delays = {retry_delay_ms(attempt, jitter_permille=jitter, limits=LIMITS) for jitter in range(0, 1_000, 100)}
    assert len(delays) == 10


def test_suspicion_against_the_audio_comes_before_the_clock() -> None:
    assert give_up(without_engine_ms=9_999, losses=5, limits=LIMITS) is None
    assert give_up(without_engine_ms=10_000, losses=5, limits=LIMITS) is GiveUp.out_of_time
    assert give_up(without_engine_ms=10_000, losses=6, limits=LIMITS) is GiveUp.too_many_losses
