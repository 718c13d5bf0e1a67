"""The tables of a scenario file: what is left out is as in the simulator's own defaults."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regions.simulator.scenario import Machines, Moving, SpotMarket, Traffic
from regions.simulator.scenario_tables import (
    FleetTable,
    MachinesTable,
    MovingTable,
    SpotTable,
    StrikeTable,
    TrafficTable,
)

pytestmark = pytest.mark.unit


def test_what_is_left_out_is_as_the_simulator_has_it() -> None:
    assert TrafficTable().traffic(1.0) == Traffic()
    assert MachinesTable().machines() == Machines()
    assert SpotTable().market() == SpotMarket()
    assert MovingTable().moving() == Moving()


def test_a_fleet_without_a_name_has_that_of_its_kind() -> None:
    assert FleetTable.model_validate({"kind": "on_demand"}).fleet().name == "on-demand"


@pytest.mark.parametrize(
    ("strike", "why"),
    [
        ({"kind": "lose_region", "region": "*", "at": "peak"}, "different times"),
        ({"kind": "lose_region", "region": "a", "at": 24.0}, "less than 24"),
        ({"kind": "lose_region", "region": "a", "at": 3, "zone": 1}, "lose_zone alone"),
    ],
)
def test_a_strike_that_cannot_be_is_refused(strike: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        StrikeTable.model_validate(strike)


def test_waits_between_calls_rise() -> None:
    with pytest.raises(ValidationError, match="must not exceed"):
        TrafficTable(first_retry_ms=500, max_retry_ms=100)
