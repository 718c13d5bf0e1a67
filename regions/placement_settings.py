"""Settings of placement between regions, turned into the plain rules that it goes by."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from policies.breaker import BreakerLimits
from policies.plans import Tier
from policies.region_health import HealthLimits
from policies.replacement_pace import PaceLimits
from policies.retry_budget import RetryLimits
from policies.routing import RoutingWeights
from policies.routing_facts import CapacityClass
from policies.shedding import SheddingLimits
from policies.slow_start import SlowStartLimits
from policies.spill import SpillLimits
from policies.tier_classes import ClassRule, TierClasses
from policies.tier_slots import TierHeadroom
from regions.placement_rules import PlacementRules


class TierWeights(BaseModel, frozen=True, extra="forbid"):
    """Milliseconds of round trip that something weighs, by the tier of the caller's plan."""

    premium: float = Field(ge=0, le=10_000)
    standard: float = Field(ge=0, le=10_000)
    economy: float = Field(ge=0, le=10_000)

    def by_tier(self) -> dict[Tier, float]:
        return {Tier.premium: self.premium, Tier.standard: self.standard, Tier.economy: self.economy}


class WeightSettings(BaseModel, frozen=True, extra="forbid"):
    """What counts how much when regions are compared, in milliseconds of round trip."""

    margin_ms: float = Field(default=20.0, ge=0, le=10_000)
    """How much better another region must be for a session to leave the one that it is in."""
    equal_ms: float = Field(default=5.0, ge=0, le=1_000)
    """Regions within this of the best are as good: sessions are spread over them."""
    queueing_ms: float = Field(default=2.0, ge=0, le=1_000)
    """At half of the slots taken; more as a region fills."""
    lag_permille: int = Field(default=500, ge=0, le=1_000)
    """Of a region's lag that counts."""
    spot_ms: TierWeights = TierWeights(premium=40.0, standard=10.0, economy=0.0)
    """For a region that is all spot."""
    cost_ms: TierWeights = TierWeights(premium=5.0, standard=20.0, economy=80.0)
    """For compute at the catalog's reference cost."""
    max_tripped_permille: int = Field(default=500, ge=0, le=1_000)
    """Of a session's regions, at most so many are out for being tripped."""


class RetrySettings(BaseModel, frozen=True, extra="forbid"):
    """How often a session that was refused is tried elsewhere, without hearing of it."""

    max_attempts: int = Field(default=3, ge=1, le=10)
    share_permille: int = Field(default=100, ge=0, le=1_000)
    """Retries, of all placements of the gateway in the window."""
    window_ms: int = Field(default=10_000, ge=1_000, le=600_000)
    floor: int = Field(default=10, ge=0, le=10_000)
    """Retries that a window always has."""


class PaceSettings(BaseModel, frozen=True, extra="forbid"):
    """How fast sessions that lost their engine are placed again, so that they do not come as a herd."""

    per_target_per_s: int = Field(default=50, gt=0, le=100_000)
    per_gateway_per_s: int = Field(default=100, gt=0, le=100_000)
    burst: int = Field(default=50, gt=0, le=100_000)
    """Taken at once by a quiet region: the sessions of one lost engine are not paced."""
    max_wait_ms: int = Field(default=8_000, ge=0, le=60_000)
    jitter_ms: int = Field(default=250, ge=0, le=10_000)


class HealthSettings(BaseModel, frozen=True, extra="forbid"):
    """When a region is taken to be ill, and when to be well again."""

    missed_probes: int = Field(default=3, ge=2, le=100)
    low_live_permille: int = Field(default=250, ge=0, le=1_000)
    high_live_permille: int = Field(default=350, ge=0, le=1_000)
    high_lag_ms: int = Field(default=10_000, ge=0, le=600_000)
    low_lag_ms: int = Field(default=2_000, ge=0, le=600_000)
    reports_in_a_row: int = Field(default=2, ge=2, le=100)
    held_ms: int = Field(default=10_000, gt=0, le=600_000)
    effect_half_life_ms: int = Field(default=30_000, gt=0, le=3_600_000)
    min_evidence: int = Field(default=5, ge=2, le=10_000)
    bad_effect_permille: int = Field(default=600, gt=0, le=1_000)

    @model_validator(mode="after")
    def _marks_rise(self) -> Self:
        if self.low_live_permille > self.high_live_permille:
            raise ValueError("low_live_permille must not exceed high_live_permille")
        if self.low_lag_ms > self.high_lag_ms:
            raise ValueError("low_lag_ms must not exceed high_lag_ms")
        return self


class BreakerSettings(BaseModel, frozen=True, extra="forbid"):
    """A region that does sessions no good is held out for a cool-off; then a few try it."""

    first_cool_off_ms: int = Field(default=5_000, gt=0, le=600_000)
    max_cool_off_ms: int = Field(default=120_000, gt=0, le=3_600_000)
    forgive_after_ms: int = Field(default=60_000, gt=0, le=3_600_000)
    probe_sessions: int = Field(default=1, gt=0, le=100)
    probe_timeout_ms: int = Field(default=10_000, gt=0, le=600_000)

    @model_validator(mode="after")
    def _cool_offs_rise(self) -> Self:
        if self.first_cool_off_ms > self.max_cool_off_ms:
            raise ValueError("first_cool_off_ms must not exceed max_cool_off_ms")
        return self


class HeadroomSettings(BaseModel, frozen=True, extra="forbid"):
    """Shares of a region's slots that a tier leaves to the tiers above it."""

    standard_permille: int = Field(default=0, ge=0, le=1_000)
    economy_permille: int = Field(default=100, ge=0, le=1_000)

    @model_validator(mode="after")
    def _lower_tiers_leave_more(self) -> Self:
        if self.standard_permille > self.economy_permille:
            raise ValueError("standard_permille must not exceed economy_permille")
        return self


class TierSettings(BaseModel, frozen=True, extra="forbid"):
    """Which machines the new sessions of a tier may have."""

    order: tuple[CapacityClass, ...] = Field(min_length=1, max_length=2)
    """The class that it should have first; one that is not named is refused to it."""
    reserved_permille: int = Field(default=1_000, ge=0, le=1_000)
    """It takes no slot of a reserved engine of whose slots so many are taken, by whomever."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.order)) != len(self.order):
            raise ValueError("order names each class once")
        return self

    def rule(self) -> ClassRule:
        return ClassRule(self.order, self.reserved_permille)


class TiersSettings(BaseModel, frozen=True, extra="forbid"):
    """Reserved machines are the floor that keeps the promise, spot ones the saving."""

    premium: TierSettings = TierSettings(order=(CapacityClass.reserved, CapacityClass.spot))
    standard: TierSettings = TierSettings(order=(CapacityClass.spot, CapacityClass.reserved))
    economy: TierSettings = TierSettings(order=(CapacityClass.spot, CapacityClass.reserved))

    def classes(self) -> TierClasses:
        return TierClasses(premium=self.premium.rule(), standard=self.standard.rule(), economy=self.economy.rule())


class SpillSettings(BaseModel, frozen=True, extra="forbid"):
    """When a region that is nearly full sends new sessions to the next one, and when it does so no more."""

    enter_permille: int = Field(default=900, gt=0, le=1_000)
    """Of what a tier may use, taken."""
    leave_permille: int = Field(default=800, gt=0, le=1_000)
    calm_ms: int = Field(default=3_000, ge=0, le=600_000)
    """For so long less than `leave_permille` must be taken."""

    @model_validator(mode="after")
    def _marks_rise(self) -> Self:
        if self.leave_permille > self.enter_permille:
            raise ValueError("leave_permille must not exceed enter_permille")
        return self


class SlowStartSettings(BaseModel, frozen=True, extra="forbid"):
    """How much of its room an engine offers that has just come, beside older ones."""

    window_ms: int = Field(default=30_000, ge=0, le=3_600_000)
    """0: all of it at once."""
    min_permille: int = Field(default=100, gt=0, le=1_000)
    aggression_permille: int = Field(default=1_000, gt=0, le=10_000)
    """More offers more at first."""


class SheddingSettings(BaseModel, frozen=True, extra="forbid"):
    """Sessions that end so that one of a higher tier can go on, when no region has a slot."""

    is_on: bool = True
    grace_ms: int = Field(default=1_500, ge=0, le=30_000)
    """For the utterance under way; below `sessions.opening_timeout_ms`, or the other one does not wait so long."""
    retry_after_ms: int = Field(default=2_000, gt=0, le=600_000)
    """Advice while nobody else is shed; it grows with the number of those who are, up to `max_retry_after_ms`."""
    max_retry_after_ms: int = Field(default=60_000, gt=0, le=3_600_000)
    pressure_window_ms: int = Field(default=10_000, gt=0, le=600_000)
    claim_ms: int = Field(default=5_000, gt=0, le=60_000)
    """For so long the slot is kept for whom it was freed."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.claim_ms <= self.grace_ms:
            raise ValueError("claim_ms must exceed grace_ms")
        if self.retry_after_ms > self.max_retry_after_ms:
            raise ValueError("retry_after_ms must not exceed max_retry_after_ms")
        return self


class PlacementSettings(BaseModel, frozen=True, extra="forbid"):
    """`[regions.placement]`. What each is for: regions.placement_rules and policies.*."""

    max_age_ms: int = Field(default=5_000, gt=0, le=600_000)
    """A region's report that is older says nothing any more."""
    facts_every_ms: int = Field(default=200, ge=20, le=5_000)
    probe_missed_after_ms: int = Field(default=1_500, ge=200, le=60_000)
    avoided_ms: int = Field(default=10_000, ge=0, le=600_000)
    hold_ms: int = Field(default=1_000, ge=0, le=1_500)
    """Below `sessions.liveness_ms`, for which a session waits for an answer."""
    retry_after_ms: int = Field(default=500, ge=0, le=60_000)
    outside_policy_ms: int = Field(default=1_000, ge=0, le=10_000)
    move_within_ms: int = Field(default=15_000, gt=0, le=600_000)
    drain_spread_ms: int = Field(default=5_000, ge=0, le=600_000)
    weights: WeightSettings = WeightSettings()
    retries: RetrySettings = RetrySettings()
    pace: PaceSettings = PaceSettings()
    health: HealthSettings = HealthSettings()
    breaker: BreakerSettings = BreakerSettings()
    headroom: HeadroomSettings = HeadroomSettings()
    tiers: TiersSettings = TiersSettings()
    spill: SpillSettings = SpillSettings()
    slow_start: SlowStartSettings = SlowStartSettings()
    shedding: SheddingSettings = SheddingSettings()

    def rules(self) -> PlacementRules:
        weights = self.weights.model_dump() | {
            "max_age_ms": self.max_age_ms,
            "spot_ms": self.weights.spot_ms.by_tier(),
            "cost_ms": self.weights.cost_ms.by_tier(),
        }
        return PlacementRules(
            weights=RoutingWeights(**weights),
            retries=RetryLimits(**self.retries.model_dump()),
            pace=PaceLimits(**self.pace.model_dump()),
            health=HealthLimits(**self.health.model_dump()),
            breaker=BreakerLimits(**self.breaker.model_dump()),
            headroom=TierHeadroom(**self.headroom.model_dump()),
            classes=self.tiers.classes(),
            spill=SpillLimits(**self.spill.model_dump()),
            slow_start=SlowStartLimits(**self.slow_start.model_dump()),
            shedding=SheddingLimits(**self.shedding.model_dump()),
            facts_every_ms=self.facts_every_ms,
            probe_missed_after_ms=self.probe_missed_after_ms,
            avoided_ms=self.avoided_ms,
            hold_ms=self.hold_ms,
            retry_after_ms=self.retry_after_ms,
            outside_policy_ms=self.outside_policy_ms,
            move_within_ms=self.move_within_ms,
            drain_spread_ms=self.drain_spread_ms,
        )
