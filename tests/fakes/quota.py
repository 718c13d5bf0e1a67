"""Credit of sessions for tests that are not about it, and small numbers for those that are."""

from __future__ import annotations

from gateway.session.credit import QuotaUpdate
from gateway.session.quota import QuotaRules, SessionQuota
from policies.plans import WhenExhausted
from policies.reservation import ReservationMode, ReservationRules

US_PER_AUDIO_S = 1_000_000
"""So that a microsecond of compute buys a microsecond of audio."""


def quota_rules(
    when_exhausted: WhenExhausted = WhenExhausted.throttle,
    *,
    ahead_ms: int = 200,
    piece_ms: int = 50,
    finish_after_ms: int = 0,
) -> QuotaRules:
    return QuotaRules(
        when_exhausted=when_exhausted,
        reservation=ReservationRules(ReservationMode.worst_case, worst_case_us_per_audio_s=US_PER_AUDIO_S),
        ahead_ms=ahead_ms,
        piece_ms=piece_ms,
        finish_after_ms=finish_after_ms,
        usage_interval_ms=10_000,
        usage_change_ms=1_000,
    )


def unlimited_quota(now_ms: int = 0) -> SessionQuota:
    return SessionQuota(quota_rules(), QuotaUpdate(None), now_ms)
