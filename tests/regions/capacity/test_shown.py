"""Capacity as people and autoscalers read it."""

from __future__ import annotations

import pytest

from policies.capacity import zone_loss
from regions.capacity.fleets import FleetBook
from regions.capacity.shown import fleet_json, pool_json, pools_json, says
from tests.regions.capacity.reports import SPOT, engine
from tests.regions.capacity.test_watch import Watched

pytestmark = pytest.mark.unit

REPORTS = (
    engine("base", zone="a", slots=16, used=10),
    engine("spot", SPOT, "a", slots=8, used=6),
    engine("spot", SPOT, "b", slots=8, used=4),
)


def said(demand: int, *reports: tuple[str, str, int]) -> str:
    """For spot pools and, as `base`, a reserved one."""
    engines = [engine(pool, *((SPOT, zone) if pool == "spot" else ()), slots=slots) for pool, zone, slots in reports]
    fleets = FleetBook(1_000).look(0, engines)
    return says(zone_loss(fleets[0].rows if fleets else (), demand_slots=demand))


def test_a_fleet_is_shown_as_it_is_documented() -> None:
    (capacity,) = Watched().look(0, *REPORTS).fleets
    tree = fleet_json(capacity, headroom_permille=0, without="base")
    assert list(tree) == [
        "models",
        "slots",
        "used_slots",
        "demand",
        "pools",
        "zone_loss",
        "wanted",
        "zone_loss_without",
    ]
    assert tree["demand"] == {"now_slots": 20, "unmet_slots": 0, "seen_peak_slots": 20, "expected_slots": None}
    assert tree["pools"][1] == {
        "pool": "spot",
        "capacity": "spot",
        "zone": "a",
        "engines": 1,
        "slots": 8,
        "used_slots": 6,
        "leaving_slots": 0,
        "wanted_slots": 20,
        "is_held": False,
        "cost_permille": 1_000,
    }
    assert tree["zone_loss"]["worst_zone"] == {
        "zone": "a",
        "holds": True,
        "lost_slots": 8,
        "left_slots": 24,
        "margin_slots": 4,
    }
    assert tree["zone_loss_without"]["pool"] == "base"
    assert (tree["zone_loss_without"]["holds"], tree["zone_loss_without"]["left_slots"]) == (False, 8)
    assert "zone_loss_without" not in fleet_json(capacity, headroom_permille=0)


def test_a_pool_is_shown_in_numbers_that_an_autoscaler_reads() -> None:
    watched = Watched()
    watched.look(0, *REPORTS)
    snapshot = watched.look(11_000, *REPORTS)  # it has watched for long enough
    assert pool_json(snapshot, "spot") == {
        "pool": "spot",
        "capacity": "spot",
        "engine_slots": 8,
        "wanted_slots": 40,
        "wanted_engines": 6,
        "slots": 16,
        "used_slots": 10,
        "free_slots": 6,
        "engines": 2,
        "zones": {
            "a": {
                "wanted_slots": 20,
                "wanted_engines": 3,
                "slots": 8,
                "used_slots": 6,
                "free_slots": 2,
                "engines": 1,
            },
            "b": {
                "wanted_slots": 20,
                "wanted_engines": 3,
                "slots": 8,
                "used_slots": 4,
                "free_slots": 4,
                "engines": 1,
            },
        },
    }
    assert pool_json(snapshot, "other") is None
    assert list(pools_json(snapshot)) == ["base", "spot"]


def test_a_pool_whose_engines_were_never_seen_is_reckoned_in_those_of_its_fleet() -> None:
    watched = Watched()
    snapshot = watched.look(0, engine("base", slots=12, used=20))
    numbers = pool_json(snapshot, "base")
    assert numbers is not None
    assert (numbers["wanted_slots"], numbers["wanted_engines"]) == (20, 2)


def test_the_rule_is_said_in_words() -> None:
    assert said(10, ("base", "", 12)) == "no spot slots to lose: 12 slots, 10 are needed for a peak of 10: 2 to spare"
    assert said(10, ("base", "", 8), ("spot", "a", 4), ("spot", "b", 2)) == (
        "without spot in a 10 slots are left, 10 are needed for a peak of 10: 0 to spare"
    )
    assert said(10, ("base", "", 2), ("spot", "a", 4), ("spot", "b", 4)) == (
        "without spot in a 6 slots are left, 10 are needed for a peak of 10: 4 too few. Add 4 reserved slots, "
        "or 8 of spot (4 in a, 4 in b)"
    )
    assert said(10, ("spot", "", 40)) == (
        "without spot in the zone that nobody named 0 slots are left, 10 are needed for a peak of 10: 10 too few. "
        "Add 10 reserved slots; spot alone does not help in fewer than two zones"
    )
