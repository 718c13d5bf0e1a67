"""What a comparison came to, as plain data for JSON: the same scenario and seed give the same report, to the letter.

docs/capacity.md says what each field means; a field's meaning does not change within a FORMAT.
"""

from __future__ import annotations

from dataclasses import asdict
from math import floor
from typing import TYPE_CHECKING, Any

from regions.simulator.comparison import cost_permille
from regions.simulator.scenario import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regions.simulator.comparison import Comparison, SweepPoint
    from regions.simulator.result import Moment, Result, Served
    from regions.simulator.scenario import Scenario
    from regions.simulator.scenario_tables import TargetTable

FORMAT = 1
_DIGITS = 3
_SERVED_STEPS = 10_000


def report(comparison: Comparison, *, has_series: bool = False) -> dict[str, Any]:
    """Give the whole. `has_series`: with what was wanted, served and there over time."""
    scenario, read = comparison.scenario, comparison.read
    target = read.target
    told: dict[str, Any] = {
        "format": FORMAT,
        "scenario": _scenario(scenario, read.question),
        "target": {"served_permille": target.served_permille, "cost_permille": target.cost_permille},
        "all_reserved_price": round(comparison.reserved_price, _DIGITS),
        "fleets": [
            _fleet(result, comparison.cost_permille(result), target, has_series=has_series)
            for result in comparison.results
        ],
    }
    if comparison.points:
        told["sweep"] = {"key": read.sweep_key, "points": [_point(point, target) for point in comparison.points]}
    return told


def _scenario(scenario: Scenario, question: str) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "summary": scenario.summary,
        "question": question,
        "seed": scenario.seed,
        "days": scenario.days,
        "regions": len(scenario.regions),
        "sessions_per_day": scenario.traffic.sessions_per_day,
        "strikes": [
            {
                "kind": strike.kind.value,
                "region": strike.region,
                "at_hours": round(strike.at_ms / HOUR_MS, _DIGITS),
                "for_hours": round(strike.for_ms / HOUR_MS, _DIGITS),
            }
            for strike in scenario.strikes
        ],
    }


def _fleet(result: Result, cost: float, target: TargetTable, *, has_series: bool) -> dict[str, Any]:
    counts = asdict(result.sessions)
    told: dict[str, Any] = {
        "fleet": result.fleet,
        "served_permille": _cut(result.served.permille),
        "offered_s": round(result.served.offered_s, _DIGITS),
        "served_s": round(result.served.served_s, _DIGITS),
        "cost_permille": round(cost, _DIGITS),
        "meets_target": is_met(result, cost, target),
        "price": round(result.costs.price, _DIGITS),
        "engine_hours": {
            "reserved": round(result.costs.reserved_hours, _DIGITS),
            "on_demand": round(result.costs.on_demand_hours, _DIGITS),
            "spot": round(result.costs.spot_hours, _DIGITS),
        },
        "sessions": counts,
        "pause_ms": {
            "count": result.pauses.count,
            "p50": round(result.pauses.p50_ms, _DIGITS),
            "p99": round(result.pauses.p99_ms, _DIGITS),
            "longest": round(result.pauses.longest_ms, _DIGITS),
        },
        "by_tier": _served(result.by_tier),
        "by_profile": _served(result.by_profile),
        "by_region": _served(result.by_region),
        "worst_region": _worst_region(result.by_region),
        "worst_moment": _worst_moment(result.series),
    }
    if has_series:
        told["series"] = [asdict(moment) for moment in result.series]
    return told


def is_met(result: Result, cost: float, target: TargetTable) -> bool:
    """Whether enough was served, for little enough."""
    return result.served.permille >= target.served_permille and cost <= target.cost_permille


def _cut(permille: float) -> float:
    """Four digits behind the point, cut off and not rounded: nobody gets a nine for free."""
    return floor(permille * _SERVED_STEPS + 1e-6) / _SERVED_STEPS


def _served(of: Mapping[str, Served]) -> dict[str, float]:
    return {name: _cut(served.permille) for name, served in of.items()}


def _worst_region(by_region: Mapping[str, Served]) -> dict[str, Any] | None:
    if not by_region:
        return None
    name = min(by_region, key=lambda name: (by_region[name].permille, name))
    return {"region": name, "served_permille": _cut(by_region[name].permille)}


def _worst_moment(series: tuple[Moment, ...]) -> dict[str, Any] | None:
    """Of the whole world: when the smallest share of those who wanted an engine had one."""
    wanted = [moment for moment in series if moment.wanted]
    if not wanted:
        return None
    worst = min(wanted, key=lambda moment: (moment.served / moment.wanted, moment.at_ms))
    return {
        "at_hours": round(worst.at_ms / HOUR_MS, _DIGITS),
        "wanted": worst.wanted,
        "served": worst.served,
        "served_permille": _cut(1_000 * worst.served / worst.wanted),
    }


def _point(point: SweepPoint, target: TargetTable) -> dict[str, Any]:
    fleets = []
    for result in point.results:
        cost = cost_permille(result, point.reserved_price)
        fleets.append(
            {
                "fleet": result.fleet,
                "served_permille": _cut(result.served.permille),
                "cost_permille": round(cost, _DIGITS),
                "meets_target": is_met(result, cost, target),
            }
        )
    return {"value": point.value, "fleets": fleets}
