"""Small simulated worlds for the tests: three regions in Europe and one far away, some hundred sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies.plans import Tier
from regions.simulator.demand import Caller
from regions.simulator.scenario import (
    HOUR_MS,
    Fleet,
    FleetKind,
    Machines,
    ProfileShare,
    Scenario,
    SimulatedRegion,
    Traffic,
)
from regions.simulator.simulation import World

REGIONS = (
    SimulatedRegion("dublin", 53.35, -6.26, weight=3.0),
    SimulatedRegion("paris", 48.86, 2.35, weight=2.0, utc_offset_hours=1),
    SimulatedRegion("milan", 45.46, 9.19, weight=1.0, utc_offset_hours=1),
    SimulatedRegion("tokyo", 35.68, 139.69, weight=1.0, utc_offset_hours=9),
)
EU = frozenset({"dublin", "paris", "milan"})
PATCHBAY = Fleet("patchbay", FleetKind.patchbay, floor_permille=200)
RESERVED = Fleet("reserved", FleetKind.reserved)


def small_scenario(**changes: Any) -> Scenario:
    """Half an hour with some two hundred sessions at once, half of whose callers may be served in the EU only."""
    scenario = Scenario(
        "small",
        REGIONS,
        (PATCHBAY,),
        days=1 / 48,
        traffic=Traffic(sessions_per_day=20_000, mean_session_s=300.0),
        machines=Machines(slots=8),
        profiles={"eu": EU},
        shares=(ProfileShare("eu", 500, EU),),
    )
    return replace(scenario, **changes)


def quiet_world(fleet: Fleet = PATCHBAY, **changes: Any) -> World:
    """One whose callers a test brings itself."""
    return World(small_scenario(days=1.0, **changes), fleet)


def caller(number: int = 0, **changes: Any) -> Caller:
    """At home in Dublin, for an hour."""
    return replace(Caller(number, 0, HOUR_MS, 0, Tier.standard, "", "", 1_000_003 * (number + 1)), **changes)
