"""When a session's client is told to wait: a pure rule over how much unfinalised audio is held."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldingLimits:
    """All in samples. Reading stops at `high_water`, goes on at `low_water`; `capacity` is never passed.

    The room between `high_water` and `capacity` takes what is already under way when reading stops.
    """

    low_water_samples: int
    high_water_samples: int
    capacity_samples: int

    def __post_init__(self) -> None:
        if not 0 < self.low_water_samples <= self.high_water_samples <= self.capacity_samples:
            raise ValueError("holding limits must rise: 0 < low water <= high water <= capacity")


def may_read(*, held_samples: int, is_reading: bool, limits: HoldingLimits) -> bool:
    """Whether the client's next audio may be taken, with hysteresis between the two water marks."""
    if is_reading:
        return held_samples < limits.high_water_samples
    return held_samples <= limits.low_water_samples
