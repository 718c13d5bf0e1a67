"""One region as this gateway knows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.region_health import Cause
from policies.routing_facts import CapacityClass, Health, RegionState
from regions.catalog import PoolSpec
from regions.placement_rules import PlacementRules
from regions.region_watch import RegionWatch
from tests.fakes.region_pool import FakeLink, FakeRegionPool, load_of, status_of
from tests.regions.placement_world import spec

pytestmark = pytest.mark.unit

RULES = PlacementRules()


def watch(pool: FakeRegionPool, *, is_local: bool = False, **changes: object) -> RegionWatch:
    one = replace(spec("east"), **changes)  # type: ignore[arg-type]
    return RegionWatch("east", one, pool, RULES, is_local=is_local, rtt_prior_ms=30.0)


def test_the_round_trip_is_reckoned_until_it_is_measured_and_again_when_that_is_old() -> None:
    pool = FakeRegionPool()
    region = watch(pool)
    region.look(0)
    first = region.facts(0)
    pool.link.hear(1_000, rtt_ms=12.0, clock_offset_ms=-250)
    region.look(1_000)
    second = region.facts(1_000)
    third = region.facts(60_000)
    assert [(facts.rtt_ms, facts.is_rtt_measured) for facts in (first, second, third)] == [
        (30.0, False),
        (12.0, True),
        (30.0, False),
    ]
    assert (first.clock_offset_ms, second.clock_offset_ms) == (None, -250)


def test_of_several_relays_the_nearest_one_counts() -> None:
    pool = FakeRegionPool()
    pool.links.append(FakeLink("fake:2"))
    region = watch(pool)
    pool.links[0].hear(0, rtt_ms=40.0)
    pool.links[1].hear(0, rtt_ms=15.0)
    region.look(0)
    assert region.facts(0).rtt_ms == 15.0


def test_the_age_of_a_report_is_on_our_own_clock() -> None:
    pool = FakeRegionPool()
    region = watch(pool)
    pool.link.hear(10_000)
    region.look(10_400)
    assert region.facts(10_400).age_ms == 400
    pool.link.heard_at_s = -float("inf")
    region.look(10_400)
    assert region.facts(10_400).age_ms is None


def test_three_missed_probes_trip_it_and_one_answer_does_not_bring_it_back() -> None:
    pool = FakeRegionPool()
    region = watch(pool)
    pool.link.hear(0, rtt_ms=10.0)
    region.look(0)
    for now_ms in range(0, 4_600, 100):
        region.look(now_ms)
    assert (region.health.state(4_500), region.health.causes(4_500)) == (Health.tripped, (Cause.probes_missed,))
    pool.link.hear(5_000, rtt_ms=10.0)
    region.look(5_000)
    assert region.health.state(5_000) is Health.tripped
    for now_ms in range(5_500, 15_600, 500):
        pool.link.hear(now_ms, rtt_ms=10.0)
        region.look(now_ms)
    assert region.health.state(15_500) is Health.admitting


def test_a_region_that_was_never_reached_missed_no_probe() -> None:
    region = watch(FakeRegionPool(FakeLink(load=None)))
    for now_ms in range(0, 60_000, 500):
        region.look(now_ms)
    assert region.health.state(60_000) is Health.admitting
    assert not region.facts(60_000).is_reachable


def test_engines_here_that_answer_no_pings_are_their_links_business() -> None:
    """An engine that is started anew takes sessions at once."""
    pool = FakeRegionPool()
    region = watch(pool, is_local=True)
    pool.link.hear(0, rtt_ms=1.0)
    for now_ms in range(0, 20_000, 500):
        region.look(now_ms)
    assert region.health.state(20_000) is Health.admitting


def test_a_report_counts_once_however_often_it_is_looked_at() -> None:
    """One bad report flips nothing."""
    pool = FakeRegionPool(FakeLink(region=status_of("east", lag_ms=60_000)))
    region = watch(pool)
    pool.link.hear(1_000)
    for now_ms in range(1_000, 1_900, 100):
        region.look(now_ms)
    assert region.health.state(1_900) is Health.admitting
    pool.link.hear(2_000)
    region.look(2_000)
    assert region.health.state(2_000) is Health.tripped


def test_the_stricter_of_what_the_catalog_and_the_region_say_holds() -> None:
    pool = FakeRegionPool(FakeLink(region=status_of("east", state=RegionState.draining)))
    assert watch(pool).state is RegionState.draining
    assert watch(pool, state=RegionState.disabled).state is RegionState.disabled
    assert watch(FakeRegionPool()).state is RegionState.active


def test_its_cost_is_the_mean_of_its_pools_and_the_reference_without_any() -> None:
    models = (("scripted", ""),)
    pools = (
        PoolSpec("a", CapacityClass.reserved, "l4", models, cost_permille=1_000),
        PoolSpec("b", CapacityClass.spot, "l4", models, cost_permille=300),
    )
    assert watch(FakeRegionPool(), pools=pools).facts(0).cost_permille == 650
    assert watch(FakeRegionPool(), pools=()).facts(0).cost_permille == 1_000


def test_the_capacity_of_an_engine_here_is_that_of_the_pool_it_says_it_belongs_to() -> None:
    pools = (PoolSpec("cheap", CapacityClass.spot, "l4", (("scripted", ""),)),)
    pool = FakeRegionPool(FakeLink(load=load_of(pool="cheap")))
    pool.links.append(FakeLink("fake:2", load=load_of(pool="nobody knows it")))
    region = watch(pool, is_local=True, pools=pools)
    region.look(0)
    assert region.facts(0).spot_permille == 500


def test_an_edge_site_has_no_engines() -> None:
    assert not watch(FakeRegionPool(), pools=()).facts(0).has_engines


def test_links_that_left_are_not_remembered() -> None:
    pool = FakeRegionPool()
    region = watch(pool)
    pool.link.hear(0, rtt_ms=10.0)
    region.look(0)
    pool.links = [FakeLink("fake:9")]
    pool.link.hear(100, rtt_ms=20.0)
    region.look(100)
    region.look(200)
    assert set(region._rtts) == {"fake:9"}


def test_a_region_that_is_nearly_full_spills_until_it_was_clearly_less_so_for_a_while() -> None:
    pool = FakeRegionPool()
    region = watch(pool, is_local=True)

    def spilling(now_ms: int, used: int) -> set[str]:
        pool.link.load = load_of(slots=100, used=used)
        region.look(now_ms)
        return set(region.facts(now_ms).spilling_tiers)

    assert spilling(0, 80) == set()
    assert spilling(100, 81) == {"economy"}
    assert spilling(200, 90) == {"premium", "standard", "economy"}
    assert spilling(300, 85) == {"premium", "standard", "economy"}
    assert spilling(400, 70) == {"premium", "standard", "economy"}
    assert spilling(400 + RULES.spill.calm_ms, 70) == set()
