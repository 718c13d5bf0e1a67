from __future__ import annotations

import random

import pytest

from policies.plans import Rate
from regions.simulator.lending import WindowCheck
from regions.simulator.scenario import LimitedOrg, SpotMarket
from regions.simulator.simulation import simulate
from tests.harness.window_checker import worst_excess_us
from tests.regions.simulator.small_world import PATCHBAY, RESERVED, caller, quiet_world, small_scenario

pytestmark = pytest.mark.unit
CALM = SpotMarket(short_permille=0, mean_life_s=1e9)


def test_the_check_of_windows_agrees_with_the_one_that_sees_all_spends() -> None:
    dice = random.Random(1)
    rate = Rate(per_s=7, burst=20)
    check, spends, at_us = WindowCheck(rate), [], 0
    for _ in range(200):
        at_us += dice.randrange(1_000_000)
        spends.append((at_us, dice.randrange(12)))
        check.spend(spends[-1][1], at_us)
    assert check.worst_us == worst_excess_us(spends, per_s=rate.per_s, burst=rate.burst)


def test_a_limit_lent_between_regions_is_used_and_no_window_is_above_its_bound() -> None:
    org = LimitedOrg("acme", "dublin", 1_000, rate_per_s=10.0, burst_s=30.0)
    result = simulate(small_scenario(days=1 / 288, spot=CALM, orgs=(org,)), PATCHBAY)
    (lending,) = result.lending
    assert lending.excess_us <= 0
    assert lending.throttled_s > 0
    # The world begins empty: at first there are fewer sessions than the limit would take.
    assert 0.75 * 300 * 10.0 < lending.spent_s <= 300 * 10.0 + 30.0


def test_an_org_within_its_limit_is_not_throttled() -> None:
    org = LimitedOrg("acme", "tokyo", 0, rate_per_s=10.0, burst_s=30.0)
    world = quiet_world(RESERVED, orgs=(org,))
    for number in range(3):
        world.sessions.arrive(caller(number, org="acme", speech_ms=120_000))
    world.agenda.run_until(180_000)
    result = world.result()
    (lending,) = result.lending
    # A root that begins learns for five seconds what regions hold; then compute is under way for a round trip.
    assert lending.throttled_s < 3 * 6.0
    assert lending.spent_s + lending.throttled_s == pytest.approx(360.0, abs=1.0)
