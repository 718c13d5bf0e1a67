from __future__ import annotations

from collections import Counter

import pytest

from policies.plans import Tier
from regions.simulator.demand import callers, peak_at_ms, rate_factor, sessions_at_peak
from regions.simulator.scenario import DAY_MS, HOUR_MS, Traffic
from tests.regions.simulator.small_world import REGIONS, small_scenario

pytestmark = pytest.mark.unit


def test_a_day_has_as_many_sessions_as_it_says_spread_by_weight_tier_and_profile() -> None:
    scenario = small_scenario(days=1.0)
    day = list(callers(scenario))
    assert len(day) == pytest.approx(20_000, rel=0.03)
    assert [each.at_ms for each in day] == sorted(each.at_ms for each in day)
    homes = Counter(each.home for each in day)
    assert homes[0] / len(day) == pytest.approx(3 / 7, abs=0.02)
    tiers = Counter(each.tier for each in day)
    assert tiers[Tier.premium] / len(day) == pytest.approx(0.1, abs=0.02)
    assert tiers[Tier.economy] / len(day) == pytest.approx(0.3, abs=0.02)
    bound = [each for each in day if each.profile == "eu"]
    assert len(bound) / (len(day) - homes[3]) == pytest.approx(0.5, abs=0.02)
    assert not any(each.home == 3 for each in bound)
    assert sum(each.speech_ms for each in day) / len(day) == pytest.approx(300_000, rel=0.05)


def test_the_same_seed_gives_the_same_callers() -> None:
    assert list(callers(small_scenario())) == list(callers(small_scenario()))
    assert list(callers(small_scenario(seed=2))) != list(callers(small_scenario()))


def test_callers_are_most_at_the_peak_hour_of_their_own_clocks() -> None:
    traffic = Traffic(peak_hour=14.0, trough_permille=200)
    tokyo = REGIONS[3]
    at_ms = peak_at_ms(traffic, tokyo)
    assert at_ms == 5 * HOUR_MS
    assert rate_factor(traffic, utc_offset_hours=9, at_ms=at_ms) == pytest.approx(1.0)
    assert rate_factor(traffic, utc_offset_hours=9, at_ms=at_ms + DAY_MS // 2) == pytest.approx(0.2)


def test_a_weekend_is_quieter() -> None:
    traffic = Traffic(weekend_permille=500)
    friday, saturday = (rate_factor(traffic, utc_offset_hours=0, at_ms=day * DAY_MS) for day in (4, 5))
    assert saturday == pytest.approx(friday / 2)


def test_the_peak_of_a_region_is_its_share_of_the_day_over_the_mean_of_the_curve() -> None:
    scenario = small_scenario()
    of_all = sum(sessions_at_peak(scenario, region) for region in scenario.regions)
    assert of_all == pytest.approx(20_000 * 300 / 86_400 / 0.625)
