"""Who calls when: a Poisson process for each region whose rate follows the day and the week of its callers' clocks."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, floor, log, pi
from typing import TYPE_CHECKING

import numpy as np

from policies.plans import Tier
from regions.simulator.events import dice_of
from regions.simulator.scenario import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regions.simulator.scenario import ProfileShare, Scenario, SimulatedRegion, Traffic

_HOURS = 24
_WORKDAYS = 5
_DAYS = 7
_PERMILLE = 1_000
_SLICE_MS = 300_000
"""The rate is taken as constant for so long."""
TIERS = tuple(Tier)
EVERYWHERE = ""
"""The profile of a caller who may be served in all regions."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One session that is wanted. `home`: number of its region; `draw`: from 0 to 2**31 - 1."""

    number: int
    at_ms: int
    speech_ms: int
    home: int
    tier: Tier
    profile: str
    org: str
    draw: int


def rate_factor(traffic: Traffic, *, utc_offset_hours: float, at_ms: int) -> float:
    """Give the rate at a time against that of a weekday's peak."""
    local_hours = at_ms / HOUR_MS + utc_offset_hours
    day = floor(local_hours / _HOURS) % _DAYS
    trough = traffic.trough_permille / _PERMILLE
    wave = (1 + cos((local_hours - traffic.peak_hour) / _HOURS * 2 * pi)) / 2
    weekly = 1.0 if day < _WORKDAYS else traffic.weekend_permille / _PERMILLE
    return (trough + (1 - trough) * wave) * weekly


def peak_rate_per_ms(scenario: Scenario, region: SimulatedRegion) -> float:
    """Give the calls a millisecond of one region at a weekday's peak."""
    traffic = scenario.traffic
    weights = sum(each.weight for each in scenario.regions)
    mean_factor = (1 + traffic.trough_permille / _PERMILLE) / 2
    return traffic.sessions_per_day * region.weight / weights / DAY_MS / mean_factor


def sessions_at_peak(scenario: Scenario, region: SimulatedRegion) -> float:
    """Give how many sessions a region's callers hold on average at a weekday's peak."""
    return peak_rate_per_ms(scenario, region) * scenario.traffic.mean_session_s * 1_000


def peak_at_ms(traffic: Traffic, region: SimulatedRegion) -> int:
    """Give the first moment of the scenario at which a region's callers are most."""
    return round((traffic.peak_hour - region.utc_offset_hours) % _HOURS * HOUR_MS)


def callers(scenario: Scenario) -> Iterator[Caller]:
    """Give all callers of the scenario in the order of their calls; a day at a time is held in memory."""
    dice = dice_of(scenario.seed, "callers")
    number = 0
    for begins_ms in range(0, scenario.ends_at_ms, DAY_MS):
        for caller in _of_a_day(scenario, begins_ms, number, dice):
            number += 1
            yield caller


def _of_a_day(scenario: Scenario, begins_ms: int, first_number: int, dice: np.random.Generator) -> Iterator[Caller]:
    traffic = scenario.traffic
    until_ms = min(begins_ms + DAY_MS, scenario.ends_at_ms)
    times, homes = [], []
    for home, region in enumerate(scenario.regions):
        peak = peak_rate_per_ms(scenario, region)
        for at_ms in range(begins_ms, until_ms, _SLICE_MS):
            length_ms = min(_SLICE_MS, until_ms - at_ms)
            factor = rate_factor(traffic, utc_offset_hours=region.utc_offset_hours, at_ms=at_ms + length_ms // 2)
            calls = int(dice.poisson(peak * factor * length_ms))
            times.append(dice.integers(at_ms, at_ms + length_ms, calls))
            homes.append(np.full(calls, home))
    at = np.concatenate(times)
    order = np.argsort(at, kind="stable")
    at, home_of = at[order], np.concatenate(homes)[order]
    location = log(traffic.mean_session_s * 1_000) - traffic.sigma**2 / 2
    lengths = np.maximum(1_000, dice.lognormal(location, traffic.sigma, len(at))).astype(np.int64)
    kinds = dice.integers(0, _PERMILLE, (3, len(at)))
    draws = dice.integers(0, 2**31, len(at))
    tiers = _by_permille(_tier_bounds(traffic))
    profiles = [_by_permille(_profile_bounds(scenario.shares, region.name)) for region in scenario.regions]
    orgs = _by_permille([(org.name, org.share_permille) for org in scenario.orgs])
    rows = zip(at.tolist(), lengths.tolist(), home_of.tolist(), *kinds.tolist(), draws.tolist(), strict=True)
    for number, (at_ms, speech_ms, home, tier, profile, org, draw) in enumerate(rows, first_number):
        yield Caller(number, at_ms, speech_ms, home, Tier(tiers[tier]), profiles[home][profile], orgs[org], draw)


def _tier_bounds(traffic: Traffic) -> list[tuple[str, int]]:
    shares = [(tier.value, traffic.tier_permille.get(tier, 0)) for tier in TIERS if tier is not Tier.standard]
    return [*shares, (Tier.standard.value, _PERMILLE - sum(share for _, share in shares))]


def _profile_bounds(shares: tuple[ProfileShare, ...], home: str) -> list[tuple[str, int]]:
    return [(share.profile, share.permille) for share in shares if not share.homes or home in share.homes]


def _by_permille(shares: list[tuple[str, int]]) -> list[str]:
    """For each of a thousand throws, whose it is; what is left over is nobody's."""
    table = [name for name, permille in shares for _ in range(permille)]
    return (table + [EVERYWHERE] * _PERMILLE)[:_PERMILLE]
