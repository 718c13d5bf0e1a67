"""Settings of the limits on compute, sessions and starts: where they are kept, and how closely they are followed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, model_validator

from gateway.metering.settings import JournalSettings
from gateway.redis_link.settings import RedisSettings
from gateway.session.quota import QuotaRules
from policies.reservation import ReservationMode, ReservationRules

if TYPE_CHECKING:
    from policies.plans import WhenExhausted


class CreditSettings(BaseModel, frozen=True, extra="forbid"):
    """How much compute a session holds before its audio goes to an engine."""

    mode: ReservationMode = ReservationMode.worst_case
    worst_case_us_per_audio_s: int = Field(default=250_000, gt=0, le=100_000_000)
    """Compute that a second of audio costs at most, in microseconds, with what the end of an utterance costs."""
    floor_us_per_audio_s: int = Field(default=1_000, gt=0, le=100_000_000)
    """The least that the adaptive mode holds."""
    ahead_ms: int = Field(default=2_500, ge=100, le=60_000)
    """Credit runs so much audio ahead, so that audio never waits for Redis; it must outlast the slowest call."""
    opening_ms: int = Field(default=2_500, ge=100, le=60_000)
    """What a session is opened with, in audio."""
    least_opening_ms: int = Field(default=500, ge=10, le=60_000)
    """With less than this left, no session is opened."""
    piece_ms: int = Field(default=500, ge=10, le=10_000)
    """A session whose waiting audio gets less credit than for so much of it is short of compute."""
    finish_after_ms: int = Field(default=1_500, ge=0, le=60_000)
    """A session whose plan says `finish` ends when it was short of compute for so long; news of credit may be late."""
    usage_interval_ms: int = Field(default=10_000, ge=1_000, le=3_600_000)
    """How often a limited session hears what is left."""
    usage_change_ms: int = Field(default=1_000, ge=0, le=60_000)
    """How often, at most, it hears that it begins or ends to wait for compute."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        mistakes = []
        if self.floor_us_per_audio_s > self.worst_case_us_per_audio_s:
            mistakes.append("floor_us_per_audio_s must not exceed worst_case_us_per_audio_s")
        if self.least_opening_ms > self.opening_ms:
            mistakes.append("least_opening_ms must not exceed opening_ms")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def rules(self) -> ReservationRules:
        return ReservationRules(
            mode=self.mode,
            worst_case_us_per_audio_s=self.worst_case_us_per_audio_s,
            floor_us_per_audio_s=self.floor_us_per_audio_s,
        )

    def quota_rules(self, when_exhausted: WhenExhausted) -> QuotaRules:
        return QuotaRules(
            when_exhausted=when_exhausted,
            reservation=self.rules(),
            ahead_ms=self.ahead_ms,
            piece_ms=self.piece_ms,
            finish_after_ms=self.finish_after_ms,
            usage_interval_ms=self.usage_interval_ms,
            usage_change_ms=self.usage_change_ms,
        )

    def opening_hold_us(self) -> int:
        return -(-self.opening_ms * self.worst_case_us_per_audio_s // 1_000)

    def least_opening_hold_us(self) -> int:
        return -(-self.least_opening_ms * self.worst_case_us_per_audio_s // 1_000)


class AwaySettings(BaseModel, frozen=True, extra="forbid"):
    """What one gateway does by itself while Redis is away."""

    safe_share_permille: int = Field(default=100, ge=0, le=1_000)
    """For plans that say `safe`: the share of each limit that this gateway gives out to new sessions by itself. All
    gateways together give out their number times this share."""
    slice_ms: int = Field(default=10_000, ge=100, le=60_000)
    """Usage is written down in longer pieces then; they are settled when Redis is back."""
    first_probe_ms: int = Field(default=50, ge=1, le=5_000)
    """Redis is asked again after about this, then after twice as long each time, up to 5 s."""


class LimitSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Without `redis` no plan's compute is limited, and each gateway counts sessions alone."""

    redis: RedisSettings | None = None
    journal: JournalSettings | None = None
    """Needed with `redis`: what sessions use is on the disk before Redis hears of it."""
    plans_file: Path | None = None
    """The plans; without a file there is one plan, without limits."""
    plans_look_interval_ms: int = Field(default=1_000, ge=50, le=60_000)
    """How often the file is looked at; a change is taken at the second look that sees it."""
    tick_ms: int = Field(default=100, ge=10, le=1_000)
    """What is due is gathered for so long and sent in one call for each org."""
    slice_ms: int = Field(default=1_000, ge=50, le=10_000)
    """Usage is settled in pieces of about this length."""
    lease_ttl_ms: int = Field(default=15_000, ge=300, le=600_000)
    """A session that no gateway renews loses its place after this."""
    event_window_slices: int = Field(default=30, ge=1, le=3_600)
    """A usage event covers so many slices, or fewer at the end of an hour or session."""
    sweep_interval_ms: int = Field(default=5_000, ge=50, le=600_000)
    """How often a gateway looks for sessions that another one left behind."""
    close_timeout_ms: int = Field(default=2_000, ge=0, le=60_000)
    """For settling what is left when the gateway ends; what cannot be settled by then is settled at its next start."""
    credit: CreditSettings = CreditSettings()
    away: AwaySettings = AwaySettings()

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        mistakes = []
        if self.redis is not None and self.journal is None:
            mistakes.append("redis needs a journal")
        if self.redis is not None and self.credit.ahead_ms <= self.tick_ms + self.redis.call_timeout_ms:
            mistakes.append("credit.ahead_ms must exceed tick_ms + redis.call_timeout_ms: audio would wait for Redis")
        if self.tick_ms > self.slice_ms:
            mistakes.append("tick_ms must not exceed slice_ms")
        if 3 * max(self.slice_ms, self.tick_ms) > self.lease_ttl_ms:
            mistakes.append("lease_ttl_ms must be at least three times slice_ms")
        if self.away.slice_ms < self.slice_ms:
            mistakes.append("away.slice_ms must not be shorter than slice_ms")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self
