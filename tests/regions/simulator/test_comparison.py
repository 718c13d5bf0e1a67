"""Fleets side by side: each is run once, and costs are told against all reserved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from regions.simulator.comparison import baseline, compare, cost_permille
from regions.simulator.scenario import FleetKind
from tests.regions.simulator.comparison_world import comparison, made_up, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.simulator.result import Result
    from regions.simulator.scenario import Fleet, Scenario

pytestmark = pytest.mark.unit


class Counting:
    """Notes what is run."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int]] = []

    def __call__(self, scenario: Scenario, fleet: Fleet, *, say: Callable[[float], None]) -> Result:
        self.runs.append((fleet.name, scenario.spot.correlation_permille))
        return made_up(scenario, fleet, say=say)


def silent(_what: str, _done: float) -> None: ...


def test_costs_are_told_against_all_reserved() -> None:
    compared = comparison()
    assert [compared.cost_permille(result) for result in compared.results] == [1_000.0, 450.0, 550.0]
    assert cost_permille(compared.results[0], 0.0) == 0.0


def test_each_fleet_runs_once_and_a_sweep_runs_its_own_without_all_reserved_again() -> None:
    simulate = Counting()
    compared = compare(read(), simulate, say=silent)
    assert simulate.runs == [
        ("all-reserved", 300),
        ("all-spot", 300),
        ("patchbay", 300),
        ("patchbay", 0),
        ("patchbay", 1_000),
    ]
    assert [(point.value, [result.fleet for result in point.results]) for point in compared.points] == [
        (0, ["patchbay"]),
        (1_000, ["patchbay"]),
    ]
    assert {point.reserved_price for point in compared.points} == {200.0}


def test_a_value_of_the_sweep_that_is_the_scenarios_own_is_not_run_again() -> None:
    simulate = Counting()
    sweep = {"key": "spot.correlation_permille", "values": [300], "fleets": ["patchbay"]}
    compared = compare(read(sweep=sweep), simulate, say=silent)
    assert len(simulate.runs) == 3
    assert compared.points[0].results == (compared.results[2],)


def test_a_sweep_of_what_reserved_machines_cost_runs_them_again() -> None:
    simulate = Counting()
    sweep = {"key": "machines.reserved_permille", "values": [500], "fleets": ["patchbay"]}
    compare(read(sweep=sweep), simulate, say=silent)
    assert [name for name, _ in simulate.runs[3:]] == ["patchbay", "all-reserved"]


def test_all_reserved_runs_beside_a_fleet_alone_and_is_not_shown() -> None:
    simulate = Counting()
    said: list[str] = []
    compared = compare(read(), simulate, only=["patchbay"], has_sweep=False, say=lambda what, _done: said.append(what))
    assert [name for name, _ in simulate.runs] == ["patchbay", "all-reserved"]
    assert [result.fleet for result in compared.results] == ["patchbay"]
    assert compared.reserved_price == 200.0
    assert said == ["patchbay", "all-reserved, for its cost"]


def test_a_scenario_without_an_all_reserved_fleet_is_told_against_a_plain_one() -> None:
    assert baseline(read(fleet=[{"kind": "patchbay"}]).scenario).kind is FleetKind.reserved
