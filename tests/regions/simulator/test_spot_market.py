from __future__ import annotations

import pytest

from regions.simulator.scenario import DAY_MS, SpotMarket
from regions.simulator.spot_market import Zone, zones_of
from tests.regions.simulator.small_world import small_scenario

pytestmark = pytest.mark.unit


def short_permille(zone: Zone, ends_ms: int) -> float:
    covered = sum(min(each.until_ms, ends_ms) - each.at_ms for each in zone.shortages)
    return 1_000 * covered / ends_ms


@pytest.mark.parametrize("correlation_permille", [0, 500, 1_000])
def test_correlation_changes_when_zones_are_short_together_not_how_often(correlation_permille: int) -> None:
    market = SpotMarket(short_permille=100, mean_short_s=1_800, correlation_permille=correlation_permille)
    scenario = small_scenario(days=300.0, spot=market)
    regions = zones_of(scenario)
    mean = sum(short_permille(zone, scenario.ends_at_ms) for zones in regions for zone in zones) / 12
    assert mean == pytest.approx(100, rel=0.12)
    for first, *others in regions:
        together = all(zone.shortages == first.shortages for zone in others)
        assert together is (correlation_permille == 1_000)


def test_a_shortage_of_the_world_strikes_all_regions_at_once() -> None:
    market = SpotMarket(correlation_permille=1_000, world_permille=1_000)
    regions = zones_of(small_scenario(days=10.0, spot=market))
    assert len({tuple(zone.shortages) for zones in regions for zone in zones}) == 1


def test_a_zone_is_short_from_the_beginning_of_a_shortage_to_before_its_end() -> None:
    zone = zones_of(small_scenario(days=30.0))[0][0]
    shortage = zone.shortages[0]
    assert [zone.is_short(at_ms) for at_ms in (shortage.at_ms - 1, shortage.at_ms, shortage.until_ms)] == [
        False,
        True,
        False,
    ]
    assert not zone.is_short(-DAY_MS)


def test_what_becomes_of_the_machines_of_a_zone_is_the_same_whoever_starts_them() -> None:
    fates = [[zones_of(small_scenario())[0][0].next_machine() for _ in range(1)] for _ in range(2)]
    assert fates[0] == fates[1]
