"""The state of the world at one moment, drawn: most regions are well, some are down, full, stale, ill or leaving."""

from __future__ import annotations

import random
from collections.abc import Sequence

from policies.plans import Tier
from policies.routing_facts import CapacityClass, Health, ModelFacts, RegionFacts, RegionSnapshot, RegionState

LANGUAGES = ("", "en", "en-GB", "de-AT")
_STALE_MS = 60_000


def some_outage(dice: random.Random, regions: Sequence[str], here: str) -> RegionSnapshot:
    """Of the regions; now and then one is not in the catalog, and one that no bundle knows is."""
    share_ill = dice.choice((0.05, 0.3, 0.3, 0.6, 0.9))
    names = [name for name in regions if dice.random() > 0.03]
    if dice.random() < 0.05:
        names.append("atlantis-1")
    facts = tuple(_region(dice, name, is_local=name == here, share_ill=share_ill) for name in names)
    return RegionSnapshot(taken_at_ms=0, regions=facts)


def _region(dice: random.Random, name: str, *, is_local: bool, share_ill: float) -> RegionFacts:
    def is_so() -> bool:
        return dice.random() < share_ill / 4

    free = 0 if is_so() else dice.randint(1, 40)
    reserved = dice.randint(0, free)
    state, health = RegionState.active, Health.admitting
    if is_so():
        state = dice.choice((RegionState.draining, RegionState.disabled))
    if is_so() or is_so():
        health = dice.choice((Health.tripped, Health.tripped, Health.probing))
    model = ModelFacts("general", "2", dice.choice(LANGUAGES[:2]), 40, free, is_leaving=dice.random() < 0.03)
    return RegionFacts(
        name,
        is_local=is_local,
        has_engines=not is_so(),
        state=state,
        health=health,
        rtt_ms=dice.choice((0.5, 3.0, 7.5, 30.0, 120.0)),
        is_rtt_measured=not is_so(),
        age_ms=dice.choice((None, _STALE_MS)) if is_so() else 800,
        models=(model,),
        slots_total=40,
        free_slots_of_tier={tier.value: 0 if is_so() else free for tier in Tier},
        free_slots_of_class={CapacityClass.reserved.value: reserved, CapacityClass.spot.value: free - reserved},
        lag_ms=dice.choice((10, 10, 500)),
        spot_permille=dice.choice((0, 300, 1_000)),
        cost_permille=dice.choice((350, 1_000)),
        is_reachable=not is_so(),
        spilling_tiers=frozenset(tier.value for tier in Tier) if is_so() else frozenset(),
    )
