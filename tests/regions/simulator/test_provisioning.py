from __future__ import annotations

import pytest

from regions.simulator.machines import Paid
from regions.simulator.scenario import HOUR_MS, Fleet, FleetKind, SpotMarket
from regions.simulator.simulation import World
from tests.regions.simulator.small_world import PATCHBAY, RESERVED, caller, quiet_world

pytestmark = pytest.mark.unit
CALM = SpotMarket(short_permille=0, mean_life_s=1e9)


def ready(world: World, paid: Paid) -> int:
    return sum(place.room.slots_by_class[paid] for place in world.places)


def test_machines_for_the_load_of_the_first_moment_are_ready_at_once() -> None:
    world = quiet_world(spot=CALM)
    assert ready(world, Paid.spot) > 0
    assert ready(world, Paid.reserved) > 0


def test_cost_is_the_time_of_every_engine_from_its_start_to_its_end() -> None:
    world = quiet_world(RESERVED)
    engines = sum(len(place.room.engines) for place in world.places)
    world.agenda.run_until(HOUR_MS)
    result = world.result()
    assert result.costs.reserved_hours == pytest.approx(engines)
    assert result.costs.price == pytest.approx(engines * 0.62)


def test_spot_machines_that_go_alone_tell_their_sessions_before() -> None:
    world = quiet_world(
        Fleet("spot", FleetKind.spot), spot=SpotMarket(short_permille=0, mean_life_s=1_200, noticed_permille=1_000)
    )
    for number in range(20):
        world.sessions.arrive(caller(number))
    world.agenda.run_until(HOUR_MS // 2)
    result = world.result()
    assert result.sessions.moved_ahead > 5
    assert (result.sessions.displaced, result.served.permille) == (0, 1_000.0)


def test_without_a_notice_the_sessions_are_displaced() -> None:
    world = quiet_world(PATCHBAY, spot=SpotMarket(short_permille=0, mean_life_s=1_200, noticed_permille=0))
    for number in range(20):
        world.sessions.arrive(caller(number))
    world.agenda.run_until(HOUR_MS // 2)
    result = world.result()
    assert result.sessions.displaced > 5
    assert result.pauses.count == result.sessions.displaced


def test_a_storm_takes_all_spot_machines_of_a_region_and_none_comes_until_it_is_over() -> None:
    world = quiet_world(spot=CALM)
    place = world.places[0]
    for number in range(20):
        world.sessions.arrive(caller(number, speech_ms=3 * HOUR_MS))
    world.provisioning.storm_region(place, HOUR_MS)
    world.agenda.run_until(HOUR_MS // 2)
    assert place.room.slots_by_class[Paid.spot] == 0
    world.agenda.run_until(2 * HOUR_MS)
    assert place.room.slots_by_class[Paid.spot] > 0
