from __future__ import annotations

import pytest

from regions.simulator.result import Result
from regions.simulator.scenario import HOUR_MS, SpotMarket, Strike, StrikeKind
from tests.regions.simulator.small_world import RESERVED, caller, quiet_world

pytestmark = pytest.mark.unit
CALM = SpotMarket(short_permille=0, mean_life_s=1e9)
AT_MS, FOR_MS = 60_000, 600_000


def struck(kind: StrikeKind, *, callers: int = 12) -> Result:
    """Callers of Dublin, whose region is struck a minute later; half of them may be served in the EU only."""
    world = quiet_world(RESERVED, spot=CALM, strikes=(Strike(kind, "dublin", AT_MS, FOR_MS),))
    for number in range(callers):
        world.sessions.arrive(caller(number, profile="eu" if number % 2 else ""))
    world.agenda.run_until(HOUR_MS // 2)
    return world.result()


@pytest.mark.parametrize("kind", [StrikeKind.lose_region, StrikeKind.darken_region, StrikeKind.silence_region])
def test_sessions_of_a_region_that_dies_go_on_in_others_of_their_policy_set(kind: StrikeKind) -> None:
    result = struck(kind)
    assert (result.sessions.unfinished, result.sessions.lost, result.sessions.outside_policy) == (12, 0, 0)
    assert result.pauses.count >= 12
    assert result.served.permille > 990


def test_nobody_is_told_of_a_region_that_goes_dark() -> None:
    told, dark = struck(StrikeKind.lose_region).pauses, struck(StrikeKind.darken_region).pauses
    assert told.p50_ms < 1_500 < dark.p50_ms


def test_a_region_that_answers_nothing_is_held_out_by_its_breaker() -> None:
    result = struck(StrikeKind.silence_region, callers=40)
    assert 40 <= result.sessions.displaced <= 80
    assert result.pauses.p50_ms < 4_000


def test_a_lost_zone_takes_only_its_own_engines() -> None:
    result = struck(StrikeKind.lose_zone)
    assert 0 < result.sessions.displaced < 12
    assert result.sessions.lost == 0
