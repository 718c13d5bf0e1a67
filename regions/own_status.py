"""What this region says of itself to its peers, with each report of its relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.routing_facts import RegionState
from policies.tier_classes import DEFAULT_CLASSES
from regions.links.region_status import RegionStatus
from regions.region_links import spoken_by_engines

if TYPE_CHECKING:
    from policies.tier_classes import TierClasses
    from policies.tier_slots import TierHeadroom
    from regions.facts import Facts


class OwnStatus:
    """Called by the relay; reads the links anew each time."""

    def __init__(self, facts: Facts, headroom: TierHeadroom, classes: TierClasses = DEFAULT_CLASSES) -> None:
        self._facts = facts
        self._headroom = headroom
        self._classes = classes

    def __call__(self) -> RegionStatus:
        facts = self._facts
        here = facts.region(facts.here)
        if here is None:
            # Taken out of the catalog: nobody is to come.
            return RegionStatus(region=facts.here, state=RegionState.disabled)
        spoken = spoken_by_engines(
            here.pool.links, self._headroom, here.capacity_of, self._classes, here.known_class_of
        )
        return RegionStatus(
            region=facts.here,
            state=here.state,
            free_slots_of_tier=spoken.free_slots,
            free_slots_of_class=spoken.free_slots_of_class,
            live_permille=spoken.live_permille,
            spot_permille=spoken.spot_permille,
            lag_ms=spoken.lag_ms,
            move_gap_ms=here.move_gap_ms,
            is_stopped=here.state is RegionState.draining and not here.is_being_left,
        )
