"""What is known of a region's capacity at one moment. Plain values, replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.capacity import ZoneLoss
    from policies.scaling import Wanted
    from regions.capacity.fleets import Fleet

SETTLED_AFTER_MS = 10_000
"""By then the links to engines stand, if there are engines."""


@dataclass(frozen=True, slots=True)
class FleetCapacity:
    """One fleet. `unmet_slots`: sessions of this gateway that found no slot. `expected_slots`: None: nobody said.

    `zone_loss`: checked for the larger of what is expected and the peak that was seen.
    """

    fleet: Fleet
    unmet_slots: int
    seen_peak_slots: int
    expected_slots: int | None
    zone_loss: ZoneLoss
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class CapacitySnapshot:
    """All fleets of the region, the largest first.

    `watched_ms`: since when this gateway watches. `silent_engines`: that are listed and do not answer.
    """

    taken_at_ms: int
    watched_ms: int
    has_reports: bool
    fleets: tuple[FleetCapacity, ...]
    silent_engines: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether it may be believed that what is not seen is not there. A gateway that just started has not met all
        engines yet. Where engines are listed and none of them answers it is likely to be the gateway that is cut off.
        """
        if self.watched_ms < SETTLED_AFTER_MS:
            return self.has_reports and not self.silent_engines
        return self.has_reports or not self.silent_engines
