"""Settings that would let audio wait for Redis, or leases run out, are refused together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from gateway.limits.settings import CreditSettings, LimitSettings
from gateway.metering.settings import JournalSettings
from gateway.redis_link.settings import RedisSettings
from policies.reservation import ReservationMode

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

REDIS = RedisSettings(urls=(SecretStr("redis://here"),))


def mistakes(**settings: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        LimitSettings(**settings)
    return str(refused.value)


def test_without_redis_nothing_more_is_needed() -> None:
    assert LimitSettings().redis is None


def test_every_contradiction_is_told_at_once() -> None:
    told = mistakes(
        redis=REDIS, credit={"ahead_ms": 600}, tick_ms=100, slice_ms=50, lease_ttl_ms=300, away={"slice_ms": 100}
    )
    for part in ("redis needs a journal", "credit.ahead_ms must exceed", "tick_ms must not exceed slice_ms"):
        assert part in told
    assert "away.slice_ms must not be shorter" in mistakes(slice_ms=1_000, away={"slice_ms": 500})
    assert "three times slice_ms" in mistakes(slice_ms=6_000)


def test_a_journal_and_redis_go_together(tmp_path: Path) -> None:
    assert LimitSettings(redis=REDIS, journal=JournalSettings(directory=tmp_path)).lease_ttl_ms == 15_000


def test_credit_is_rounded_against_the_session_and_its_parts_agree() -> None:
    credit = CreditSettings(
        worst_case_us_per_audio_s=333, floor_us_per_audio_s=1, opening_ms=1_000, least_opening_ms=10
    )
    assert (credit.opening_hold_us(), credit.least_opening_hold_us()) == (333, 4)
    assert credit.rules().mode is ReservationMode.worst_case
    with pytest.raises(ValidationError, match="least_opening_ms"):
        CreditSettings(opening_ms=100, least_opening_ms=200)
    with pytest.raises(ValidationError, match="floor_us_per_audio_s"):
        CreditSettings(worst_case_us_per_audio_s=100, floor_us_per_audio_s=200)
