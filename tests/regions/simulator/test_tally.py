from __future__ import annotations

import pytest

from regions.simulator.machines import Paid
from regions.simulator.result import Pauses
from regions.simulator.scenario import HOUR_MS, Machines
from regions.simulator.tally import Crowd, Tally, costs, pauses
from tests.regions.simulator.small_world import PATCHBAY, caller, small_scenario

pytestmark = pytest.mark.unit


def test_the_price_is_the_hours_of_each_class_times_what_they_cost() -> None:
    bill = costs(
        {Paid.reserved: 2 * HOUR_MS, Paid.spot: 4 * HOUR_MS}, Machines(reserved_permille=600, spot_permille=300)
    )
    assert (bill.reserved_hours, bill.on_demand_hours, bill.spot_hours) == (2.0, 0.0, 4.0)
    assert bill.price == pytest.approx(2.4)


def test_percentiles_are_pauses_that_were() -> None:
    found = pauses(list(range(1, 201)))
    assert (found.count, found.p50_ms, found.p99_ms, found.longest_ms) == (200, 100.0, 198.0, 200)
    assert sum(how_many for _, how_many in found.histogram) == 200
    assert pauses([]) == Pauses()


def test_a_session_counts_for_its_tier_its_home_and_its_profile() -> None:
    tally = Tally()
    tally.over(caller(profile="eu"), offered_ms=10_000, unserved_ms=1_000)
    result = tally.result(small_scenario(), PATCHBAY, lending=(), events=0)
    assert (result.served.offered_s, result.served.served_s, result.served.permille) == (10.0, 9.0, 900.0)
    assert result.by_tier["standard"] == result.by_region["dublin"] == result.by_profile["eu"] == result.served


def test_a_crowd_measures_how_long_how_many_were_there() -> None:
    crowd = Crowd()
    crowd.change(0, wanted=2, live=1)
    crowd.change(1_000, live=1)
    assert crowd.take_areas(3_000) == (6.0, 5.0)
    assert crowd.take_areas(4_000) == (2.0, 2.0)
