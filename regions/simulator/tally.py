"""Counts what becomes of sessions and machines, and makes the result of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil, log
from typing import TYPE_CHECKING

from regions.simulator.machines import Paid
from regions.simulator.result import Costs, Pauses, Result, Served, SessionCounts
from regions.simulator.scenario import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regions.simulator.demand import Caller
    from regions.simulator.result import Lending, Moment
    from regions.simulator.scenario import Fleet, Machines, Scenario

_MS_PER_S = 1_000
_PERMILLE = 1_000
_EDGE_GROWTH = 1.1


@dataclass(slots=True)
class _Time:
    offered_ms: int = 0
    unserved_ms: int = 0

    def served(self) -> Served:
        return Served(self.offered_ms / _MS_PER_S, (self.offered_ms - self.unserved_ms) / _MS_PER_S)


@dataclass(slots=True)
class Tally:
    """Of one run. `counts`: by the names of SessionCounts."""

    counts: Counter[str] = field(default_factory=Counter)
    engine_ms: Counter[Paid] = field(default_factory=Counter)
    pauses_ms: list[int] = field(default_factory=list)
    series: list[Moment] = field(default_factory=list)
    _all: _Time = field(default_factory=_Time)
    _tiers: dict[str, _Time] = field(default_factory=dict)
    _regions: dict[int, _Time] = field(default_factory=dict)
    _profiles: dict[str, _Time] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def over(self, caller: Caller, *, offered_ms: int, unserved_ms: int) -> None:
        """A session is over, or the scenario is: how long it spoke, and how long of that no engine heard it."""
        for time in (
            self._all,
            self._tiers.setdefault(caller.tier.value, _Time()),
            self._regions.setdefault(caller.home, _Time()),
            self._profiles.setdefault(caller.profile, _Time()),
        ):
            time.offered_ms += offered_ms
            time.unserved_ms += unserved_ms

    def result(self, scenario: Scenario, fleet: Fleet, *, lending: tuple[Lending, ...], events: int) -> Result:
        names = [region.name for region in scenario.regions]
        return Result(
            scenario=scenario.name,
            seed=scenario.seed,
            fleet=fleet.name,
            served=self._all.served(),
            sessions=SessionCounts(**self.counts),
            costs=costs(self.engine_ms, scenario.machines),
            pauses=pauses(self.pauses_ms),
            by_tier={name: time.served() for name, time in sorted(self._tiers.items())},
            by_region={names[number]: time.served() for number, time in sorted(self._regions.items())},
            by_profile={name: time.served() for name, time in sorted(self._profiles.items())},
            series=tuple(self.series),
            lending=lending,
            events=events,
        )


class Crowd:
    """How many sessions go on, how many of them have an engine, and how long all that lasted."""

    def __init__(self) -> None:
        self.wanted = 0
        self.live = 0
        self._at_ms = self._wanted_ms = self._live_ms = 0

    def change(self, now_ms: int, *, wanted: int = 0, live: int = 0) -> None:
        self._measure(now_ms)
        self.wanted += wanted
        self.live += live

    def take_areas(self, now_ms: int) -> tuple[float, float]:
        """Session-seconds since it was asked last: of all that went on, and of those that had an engine."""
        self._measure(now_ms)
        areas = self._wanted_ms / _MS_PER_S, self._live_ms / _MS_PER_S
        self._wanted_ms = self._live_ms = 0
        return areas

    def _measure(self, now_ms: int) -> None:
        self._wanted_ms += (now_ms - self._at_ms) * self.wanted
        self._live_ms += (now_ms - self._at_ms) * self.live
        self._at_ms = now_ms


def price_permille(machines: Machines) -> dict[Paid, int]:
    """Give what an hour of one engine costs, by how it is paid for."""
    return {
        Paid.reserved: machines.reserved_permille,
        Paid.on_demand: machines.on_demand_permille,
        Paid.spot: machines.spot_permille,
    }


def costs(engine_ms: Mapping[Paid, int], machines: Machines) -> Costs:
    hours = {paid: engine_ms.get(paid, 0) / HOUR_MS for paid in Paid}
    price = sum(hours[paid] * permille / _PERMILLE for paid, permille in price_permille(machines).items())
    return Costs(hours[Paid.reserved], hours[Paid.on_demand], hours[Paid.spot], price)


def pauses(pauses_ms: list[int]) -> Pauses:
    """Percentiles by the nearest rank."""
    if not pauses_ms:
        return Pauses()
    ordered = sorted(pauses_ms)
    bins = Counter(_edge_ms(pause_ms) for pause_ms in ordered)
    return Pauses(
        count=len(ordered),
        p50_ms=_percentile(ordered, 500),
        p99_ms=_percentile(ordered, 990),
        longest_ms=ordered[-1],
        histogram=tuple(sorted(bins.items())),
    )


def _percentile(ordered: list[int], permille: int) -> float:
    return float(ordered[max(0, -(-len(ordered) * permille // _PERMILLE) - 1)])


def _edge_ms(pause_ms: int) -> int:
    return ceil(_EDGE_GROWTH ** ceil(log(max(1, pause_ms), _EDGE_GROWTH)))
