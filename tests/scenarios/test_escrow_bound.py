"""What several regions spend together stays inside the proven bound, over every window: simulated time, real rules."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.escrow.settings import EscrowSettings
from policies.plans import MICRO, Rate, WhenLimiterAway
from tests.harness.escrow_world import CentralBucket, EscrowWorld, Load

pytestmark = pytest.mark.unit

RATE = Rate(per_s=5 * MICRO, burst=30 * MICRO)
AWAY_MS = {"eu": 1, "us": 75, "ap": 120}
LOAD = Load(num_sessions=33, wave_s=60, quiet_s=20, waves_until_s=480)
"""Three times what the rate allows."""
ONE_PLACE = Load(num_sessions=99, wave_s=60, quiet_s=20, waves_until_s=480)
CUT_S = (120, 420)
LAST_S = 620
SEEDS = (1, 2, 3)


def settings(**changes: Any) -> EscrowSettings:
    addresses = {name: f"{name}:8083" for name in AWAY_MS}
    return EscrowSettings(
        default_home="eu",
        addresses=addresses,
        secret=SecretStr("a secret of regions"),
        least_holding_us=1_000,
        **changes,
    )


def world_with_partition(seed: int, when_away: WhenLimiterAway = WhenLimiterAway.closed, **changes: Any) -> EscrowWorld:
    world = EscrowWorld(settings(**changes), RATE, LOAD, AWAY_MS, seed=seed, loss=0.01, when_away=when_away)
    world.run(CUT_S[0])
    world.regions["ap"].is_cut_off = True
    world.run(CUT_S[1] - CUT_S[0])
    world.regions["ap"].is_cut_off = False
    world.run(LAST_S - CUT_S[1])
    return world


def holdings_us(world: EscrowWorld) -> int:
    return sum(region.holding_us for region in world.regions.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_three_regions_with_a_partition_of_300_s_stay_inside_the_bound_and_use_the_rate(seed: int) -> None:
    world = world_with_partition(seed)
    assert world.spent.worst_excess_us(RATE) <= holdings_us(world)
    assert all(region.most_held_us <= region.holding_us for region in world.regions.values())
    used = world.spent.utilisation(RATE, from_us=510 * MICRO, until_us=LAST_S * MICRO)
    assert used >= 0.98


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_load_charged_at_the_end_of_sessions_overruns_by_a_minute_of_the_rate(seed: int) -> None:
    central = CentralBucket(RATE, ONE_PLACE, charges_at_end=True, seed=seed)
    central.clock.run(LAST_S * MICRO)
    assert central.spent.worst_excess_us(RATE) > 60 * RATE.per_s


def test_one_region_that_reserves_the_worst_case_has_no_excess() -> None:
    central = CentralBucket(RATE, ONE_PLACE, charges_at_end=False, seed=1)
    central.clock.run(LAST_S * MICRO)
    assert central.spent.worst_excess_us(RATE) <= 0


def test_what_is_lent_counted_against_the_burst_leaves_no_excess_at_all() -> None:
    world = world_with_partition(1, covers_loans=True, holding_ms=1_000)
    assert world.spent.worst_excess_us(RATE) <= 0
    assert world.spent.utilisation(RATE, from_us=510 * MICRO, until_us=LAST_S * MICRO) >= 0.98


def test_a_safe_rate_adds_no_more_than_itself_for_the_time_of_the_partition() -> None:
    world = world_with_partition(1, WhenLimiterAway.safe, safe_share_permille=50)
    safe_us = RATE.per_s * 50 // 1_000 * (CUT_S[1] - CUT_S[0])
    excess_us = world.spent.worst_excess_us(RATE)
    assert holdings_us(world) / 2 < excess_us <= holdings_us(world) + safe_us


def test_a_safe_rate_that_is_set_aside_adds_nothing() -> None:
    world = world_with_partition(1, WhenLimiterAway.safe, safe_share_permille=50, sets_safe_share_aside=True)
    assert world.spent.worst_excess_us(RATE) <= holdings_us(world)


@pytest.mark.parametrize("is_older_copy", [False, True], ids=["empty", "older copy"])
def test_a_root_that_loses_its_books_mints_nothing(is_older_copy: bool) -> None:
    world = EscrowWorld(settings(), RATE, LOAD, AWAY_MS, seed=1)
    for life in range(1, 5):
        world.run(31)
        if is_older_copy and world.root is not None:
            world.root.balance_us = RATE.burst  # what was spent since the copy was made is in it
        else:
            world.root = None
        world.root_server = f"root-{life}"
    world.run(60)
    assert world.spent.worst_excess_us(RATE) <= holdings_us(world)


def test_a_region_that_loses_its_books_mints_nothing() -> None:
    world = EscrowWorld(settings(), RATE, LOAD, AWAY_MS, seed=1)
    for _ in range(4):
        world.run(31)
        world.regions["us"].restart()
    world.run(60)
    assert world.spent.worst_excess_us(RATE) <= holdings_us(world)


def test_an_org_with_one_busy_region_can_use_all_of_its_rate_there() -> None:
    world = EscrowWorld(settings(), RATE, Load(num_sessions=99), {"us": 75}, seed=1)
    world.run(120)
    assert world.spent.utilisation(RATE, from_us=30 * MICRO, until_us=120 * MICRO) >= 0.98
