from __future__ import annotations

from collections import Counter

import pytest

from regions.simulator.fleets import Engines, Planner, Seen, peak_slots, planner_of
from regions.simulator.machines import Paid
from regions.simulator.scenario import Fleet, FleetKind, Machines

pytestmark = pytest.mark.unit
MACHINES = Machines(slots=10)
WINDOW_MS = 600_000


def by_class(engines: Engines) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (paid, _), how_many in engines.items():
        found[paid.value] += how_many
    return {paid: how_many for paid, how_many in found.items() if how_many}


def settled(planner: Planner, used: int, slots: dict[tuple[Paid, int], int]) -> Engines:
    """What it wants when nothing has changed for longer than all its windows."""
    wanted: Engines = {}
    for at_ms in range(0, 3 * WINDOW_MS, 30_000):
        wanted = planner.wants(Seen(at_ms, slots, used, unmet=0))
    return wanted


def of(kind: FleetKind, **knobs: int) -> Planner:
    return planner_of(Fleet("any", kind, **knobs), MACHINES, peak_sessions=100.0)


def test_all_reserved_has_its_peak_at_all_times() -> None:
    planner = of(FleetKind.reserved)
    assert peak_slots(100.0, margin_permille=100) == 143
    assert by_class(planner.wants(Seen(0, {}, 0, 0))) == by_class(planner.at_first(1.0)) == {"reserved": 15}


def test_ours_keeps_a_floor_and_so_much_spot_that_a_zone_may_be_lost() -> None:
    planner = of(FleetKind.patchbay, floor_permille=200)
    there = {(Paid.reserved, 0): 30, **{(Paid.spot, zone): 40 for zone in range(3)}}
    wanted = settled(planner, 100, there)
    assert by_class(wanted) == {"reserved": 3, "spot": 12}
    spot = [wanted[Paid.spot, zone] for zone in range(3)]
    assert 30 + 10 * (sum(spot) - max(spot)) >= 110


def test_ours_has_machines_on_demand_for_what_the_rule_lacks_when_spot_stays_away() -> None:
    planner = of(FleetKind.patchbay, floor_permille=200)
    wanted = settled(planner, 100, {(Paid.reserved, 0): 30, (Paid.spot, 0): 40})
    assert by_class(wanted)["on_demand"] == 8


def test_the_fallback_fleet_has_a_machine_on_demand_for_each_missing_spot_machine() -> None:
    planner = of(FleetKind.fallback, extra_permille=200)
    assert by_class(settled(planner, 100, {(Paid.spot, 0): 132})) == {"spot": 15}
    assert by_class(settled(planner, 100, {(Paid.spot, 0): 62})) == {"spot": 15, "on_demand": 7}


def test_all_spot_wants_nothing_else() -> None:
    assert by_class(settled(of(FleetKind.spot, zones=1), 100, {})) == {"spot": 11}
    assert by_class(settled(of(FleetKind.spot), 100, {})) == {"spot": 12}


def test_on_demand_follows_the_load() -> None:
    assert by_class(settled(of(FleetKind.on_demand), 100, {})) == {"on_demand": 11}
