"""The fleets of a scenario, one after the other, and again for each value of its sweep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from regions.simulator.scenario import Fleet, FleetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from regions.simulator.result import Result
    from regions.simulator.scenario import Scenario
    from regions.simulator.scenario_file import ReadScenario


class Simulate(Protocol):
    """regions.simulator.simulation.simulate."""

    def __call__(self, scenario: Scenario, fleet: Fleet, *, say: Callable[[float], None]) -> Result: ...


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """What came of the fleets with one value of the sweep's setting, and what all reserved costs then."""

    value: Any
    results: tuple[Result, ...]
    reserved_price: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of a scenario's fleets, in their order. `reserved_price`: of all reserved, in hours on demand."""

    read: ReadScenario
    results: tuple[Result, ...]
    reserved_price: float
    points: tuple[SweepPoint, ...] = ()

    @property
    def scenario(self) -> Scenario:
        return self.read.scenario

    def cost_permille(self, result: Result) -> float:
        """Of all reserved in the same scenario."""
        return cost_permille(result, self.reserved_price)


def cost_permille(result: Result, reserved_price: float) -> float:
    """Give what a fleet cost against all reserved; 0 where that cost nothing, too."""
    return 1_000.0 * result.costs.price / reserved_price if reserved_price else 0.0


def compare(
    read: ReadScenario,
    simulate: Simulate,
    *,
    only: Collection[str] = (),
    has_sweep: bool = True,
    say: Callable[[str, float], None],
) -> Comparison:
    """Run what is asked for, and all reserved beside it where nobody asked: costs are told against it.

    Args:
        only: names of fleets; empty: all of the scenario.
        say: told what runs, and how far it is, 0 to 1. It may raise; nothing is left behind.
    """
    results, price = _run(read.scenario, simulate, only=only, what="", say=say)
    points: list[SweepPoint] = []
    for variation in read.variations if has_sweep else ():
        wanted = read.sweep_fleets & set(only) if only and read.sweep_fleets else read.sweep_fleets or set(only)
        if variation.scenario == read.scenario:
            kept = tuple(result for result in results if not wanted or result.fleet in wanted)
            points.append(SweepPoint(variation.value, kept, price))
            continue
        what = f"{read.sweep_key} = {variation.value}: "
        is_same_price = _what_prices(variation.scenario) == _what_prices(read.scenario)
        known = price if is_same_price else None
        varied, varied_price = _run(variation.scenario, simulate, only=wanted, what=what, say=say, price=known)
        points.append(SweepPoint(variation.value, varied, varied_price))
    return Comparison(read, results, price, tuple(points))


def _run(
    scenario: Scenario,
    simulate: Simulate,
    *,
    only: Collection[str],
    what: str,
    say: Callable[[str, float], None],
    price: float | None = None,
) -> tuple[tuple[Result, ...], float]:
    """Give the results, and what all reserved costs: as it is known, or as it is found."""
    results = []
    for fleet in scenario.fleets:
        if only and fleet.name not in only:
            continue
        result = simulate(scenario, fleet, say=partial(say, f"{what}{fleet.name}"))
        results.append(result)
        if fleet.kind is FleetKind.reserved and price is None:
            price = result.costs.price
    if price is None:
        fleet = baseline(scenario)
        price = simulate(scenario, fleet, say=partial(say, f"{what}{fleet.name}, for its cost")).costs.price
    return tuple(results), price


def _what_prices(scenario: Scenario) -> tuple[object, ...]:
    """What the cost of all reserved hangs on: not the market of spot, nor how sessions move."""
    return (
        *(scenario.regions, scenario.traffic, scenario.machines, scenario.days, scenario.seed, scenario.strikes),
        baseline(scenario),
    )


def baseline(scenario: Scenario) -> Fleet:
    """Give the fleet that costs are told against: the scenario's first all-reserved one, or a plain one."""
    plain = Fleet("all-reserved", FleetKind.reserved)
    return next((fleet for fleet in scenario.fleets if fleet.kind is FleetKind.reserved), plain)
