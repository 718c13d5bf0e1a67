"""Settings of a region's capacity: what is kept free, what is reserved, and how fast autoscalers follow the demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, NonNegativeInt, model_validator

from policies.plans import Tier
from policies.scaling import ScalingRules

if TYPE_CHECKING:
    from policies.tier_slots import TierHeadroom


class CapacitySettings(BaseModel, frozen=True, extra="forbid"):
    """`[capacity]`. They change what is shown and what autoscalers are told, never where a session is placed."""

    headroom_permille: int = Field(default=100, ge=0, le=10_000)
    """Slots above the demand, in thousandths of it."""
    lowest_tier: Tier = Tier.economy
    """The lowest tier that is to find a slot: what it leaves to others (`regions.placement.headroom`) is kept too."""
    reserved_floor_slots: int = Field(default=0, ge=0, le=1_000_000)
    """Reserved slots of each fleet that are wanted whatever the demand."""
    expected_peaks: dict[str, NonNegativeInt] = {}
    """Slots in use at a peak that has yet to come, by a model of the fleet. What was seen counts if it is more."""
    peak_window_ms: int = Field(default=86_400_000, ge=60_000, le=2_678_400_000)
    """How far back a peak counts for the zone-loss rule."""
    is_zone_loss_survived: bool = True
    """Whether autoscalers are told to keep so much spot that one zone of it may be lost."""
    scale_down_after_ms: int = Field(default=600_000, ge=0, le=86_400_000)
    spot_missing_after_ms: int = Field(default=120_000, ge=0, le=86_400_000)
    spot_back_after_ms: int = Field(default=600_000, ge=0, le=86_400_000)
    unmet_remembered_ms: int = Field(default=30_000, ge=0, le=600_000)
    """For how long a session that was refused for want of a slot counts as demand."""
    look_every_ms: int = Field(default=1_000, ge=50, le=60_000)

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        if self.spot_back_after_ms < self.spot_missing_after_ms:
            raise ValueError(
                "spot_back_after_ms must not be below spot_missing_after_ms: reserved slots would come and go"
            )
        if 0 < self.scale_down_after_ms < 2 * self.look_every_ms:
            raise ValueError("scale_down_after_ms must be 0 or hold several looks: at least twice look_every_ms")
        return self

    def rules(self, headroom: TierHeadroom) -> ScalingRules:
        return ScalingRules(
            headroom_permille=self.headroom_permille,
            tier_headroom_permille=headroom.of(self.lowest_tier),
            reserved_floor_slots=self.reserved_floor_slots,
            is_zone_loss_survived=self.is_zone_loss_survived,
            scale_down_after_ms=self.scale_down_after_ms,
            spot_missing_after_ms=self.spot_missing_after_ms,
            spot_back_after_ms=self.spot_back_after_ms,
        )
