"""What a region says of itself to its peers, beside its load."""

from __future__ import annotations

import msgspec

from policies.routing_facts import RegionState


class RegionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Said by the region's relay with each load report.

    Attributes:
        free_slots_of_tier: new streams that each policies.plans.Tier would be granted now.
        free_slots_of_class: new streams on machines of each CapacityClass, as far as it is known.
        live_permille: of the streams that owe an answer, those that got one within their liveness budget; 1000 where
            none owes.
        spot_permille: of the slots, those of spot capacity.
        lag_ms: audio received and not yet recognised, of the engine that is furthest behind.
        move_gap_ms: of a region that drains, between two sessions that one gateway moves out of it; 0: as links allow.
        is_stopped: of a region that drains: nothing new comes, and what is there stays.
    """

    region: str
    state: RegionState
    free_slots_of_tier: dict[str, int] = {}
    live_permille: int = 1_000
    spot_permille: int = 0
    lag_ms: int = 0
    move_gap_ms: int = 0
    is_stopped: bool = False
    free_slots_of_class: dict[str, int] = {}
