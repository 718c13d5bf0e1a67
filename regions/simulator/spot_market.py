"""When spot machines are to be had, and when they are taken away: decided before anything else happens, by the seed.

A zone is short of spot machines for a share of time. Its shortages come from three Poisson processes: its own, one that
it shares with the zones of its region, and one that it shares with the world. The knobs of correlation move shortages
from one to the other; how often and how long a zone is short they do not change (a Marshall-Olkin shock model,
A. Marshall and I. Olkin, "A Multivariate Exponential Distribution", JASA 1967).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from regions.simulator.events import dice_of

if TYPE_CHECKING:
    import numpy as np

    from regions.simulator.scenario import Scenario, SpotMarket

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class Shortage:
    """From `at_ms` to `until_ms` a zone has no spot machines."""

    at_ms: int
    until_ms: int


class Zone:
    """The spot machines of one zone. `region`: its number; `number`: of the zone, from 0."""

    def __init__(self, region: int, number: int, shortages: list[Shortage], market: SpotMarket, seed: int) -> None:
        self.region = region
        self.number = number
        self.shortages = _merged(shortages)
        self._begins_ms = [shortage.at_ms for shortage in self.shortages]
        self._market = market
        self._dice = dice_of(seed, f"spot machines {region} {number}")

    def is_short(self, at_ms: int) -> bool:
        place = bisect_right(self._begins_ms, at_ms) - 1
        return place >= 0 and at_ms < self.shortages[place].until_ms

    def next_machine(self) -> tuple[int, bool, float]:
        """Give the fate of the next machine that starts here: how long it lives by itself (ms), whether it is told
        before, and where in a storm it goes (0 to 1).
        """
        life_ms = int(self._dice.exponential(self._market.mean_life_s) * 1_000)
        is_told = bool(self._dice.integers(0, _PERMILLE) < self._market.noticed_permille)
        return life_ms, is_told, float(self._dice.random())


def zones_of(scenario: Scenario) -> list[list[Zone]]:
    """Give the zones of each region, in its order."""
    market, ends_ms = scenario.spot, scenario.ends_at_ms
    rate_per_ms = _shortages_per_ms(market)
    correlation, world = market.correlation_permille / _PERMILLE, market.world_permille / _PERMILLE
    of_world = _shortages(dice_of(scenario.seed, "spot world"), rate_per_ms * correlation * world, market, ends_ms)
    zones = []
    for region in range(len(scenario.regions)):
        dice = dice_of(scenario.seed, f"spot region {region}")
        of_region = _shortages(dice, rate_per_ms * correlation * (1 - world), market, ends_ms)
        of_zones = [
            _shortages(
                dice_of(scenario.seed, f"spot zone {region} {zone}"), rate_per_ms * (1 - correlation), market, ends_ms
            )
            for zone in range(scenario.machines.zones)
        ]
        zones.append(
            [
                Zone(region, number, own + of_region + of_world, market, scenario.seed)
                for number, own in enumerate(of_zones)
            ]
        )
    return zones


def _shortages_per_ms(market: SpotMarket) -> float:
    """How often they must begin for a zone to be short for the stated share of time, where they may overlap: the
    share that none covers is exp(-rate x mean), as in a queue with servers without end.
    """
    return -log(1 - market.short_permille / _PERMILLE) / (market.mean_short_s * 1_000)


def _shortages(dice: np.random.Generator, rate_per_ms: float, market: SpotMarket, ends_ms: int) -> list[Shortage]:
    found: list[Shortage] = []
    if rate_per_ms <= 0:
        return found
    at_ms = dice.exponential(1 / rate_per_ms)
    while at_ms < ends_ms:
        length_ms = dice.exponential(market.mean_short_s * 1_000)
        found.append(Shortage(int(at_ms), int(at_ms + length_ms) + 1))
        at_ms += dice.exponential(1 / rate_per_ms)
    return found


def _merged(shortages: list[Shortage]) -> list[Shortage]:
    merged: list[Shortage] = []
    for shortage in sorted(shortages, key=lambda each: each.at_ms):
        if merged and shortage.at_ms <= merged[-1].until_ms:
            last = merged.pop()
            merged.append(Shortage(last.at_ms, max(last.until_ms, shortage.until_ms)))
        else:
            merged.append(shortage)
    return merged
