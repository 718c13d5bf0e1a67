"""A comparison whose results are made up, so that what is shown of it can be said beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from regions.simulator.comparison import Comparison, compare
from regions.simulator.result import Costs, Moment, Pauses, Result, Served, SessionCounts
from regions.simulator.scenario_file import check_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.simulator.scenario import Fleet, Scenario
    from regions.simulator.scenario_file import ReadScenario

TREE: dict[str, Any] = {
    "name": "made-up",
    "summary": "Two <regions>.",
    "question": "What if a < b & c?",
    "world": {"regions": ["eu-west", "us-east"]},
    "strike": [{"kind": "lose_region", "region": "eu-west", "at": "peak"}],
    "fleet": [
        {"kind": "reserved", "name": "all-reserved"},
        {"kind": "spot", "name": "all-spot"},
        {"kind": "patchbay"},
    ],
    "sweep": {"key": "spot.correlation_permille", "values": [0, 1_000], "fleets": ["patchbay"]},
}
PRICES = {"reserved": 200.0, "spot": 90.0, "patchbay": 110.0}
SERVED_S = {"reserved": 1_000.0, "spot": 950.0, "patchbay": 999.9996}


def read(**changes: Any) -> ReadScenario:
    return check_scenario(TREE | changes, beside=Path(__file__).parent)


def made_up(scenario: Scenario, fleet: Fleet, *, say: Callable[[float], None]) -> Result:
    say(1.0)
    served = Served(1_000.0, SERVED_S[fleet.kind] - scenario.spot.correlation_permille / 100)
    return Result(
        scenario=scenario.name,
        seed=scenario.seed,
        fleet=fleet.name,
        served=served,
        sessions=SessionCounts(offered=10_000, finished=9_990, refused=10, displaced=7, moved_ahead=1_234),
        costs=Costs(reserved_hours=1_000.4, spot_hours=50.0, price=PRICES[fleet.kind]),
        pauses=Pauses(count=7, p50_ms=410.4, p99_ms=1_200.0, longest_ms=1_300.0),
        by_tier={"premium": Served(100.0, 100.0), "economy": Served(900.0, 810.0)},
        by_region={"eu-west": Served(400.0, 300.0), "us-east": Served(600.0, 600.0)},
        by_profile={"": served},
        series=(
            Moment(0, 0, 0, 16, 0, 16),
            Moment(300_000, 40, 30, 16, 0, 16),
            Moment(600_000, 40, 40, 16, 16, 16),
        ),
    )


def comparison(**changes: Any) -> Comparison:
    return compare(read(**changes), made_up, say=lambda _what, _done: None)
