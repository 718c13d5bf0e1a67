from __future__ import annotations

import pytest

from regions.simulator.scenario import HOUR_MS, Fleet, FleetKind, SpotMarket
from regions.simulator.session import Loss
from tests.regions.simulator.small_world import RESERVED, caller, quiet_world

pytestmark = pytest.mark.unit


def test_a_session_that_is_taken_at_once_is_served_all_the_time() -> None:
    world = quiet_world(RESERVED)
    world.sessions.arrive(caller(speech_ms=60_000))
    world.agenda.run_until(HOUR_MS)
    result = world.result()
    assert (result.served.offered_s, result.served.served_s) == (60.0, 60.0)
    assert (result.sessions.offered, result.sessions.finished) == (1, 1)


def test_a_session_that_loses_its_engine_is_not_served_until_it_is_heard_again() -> None:
    world = quiet_world(RESERVED)
    world.sessions.arrive(caller(speech_ms=60_000))
    world.agenda.run_until(30_000)
    place = world.places[0]
    (engine,) = [engine for engine in place.room.engines.values() if engine.sessions]
    world.sessions.lost(place.room.remove(engine, 30_000), place, Loss.dark, seen_after_ms=2_000)
    world.agenda.run_until(HOUR_MS)
    result = world.result()
    assert (result.sessions.displaced, result.sessions.finished) == (1, 1)
    assert 1_500 <= result.pauses.p50_ms <= 2_600
    assert 57.3 < result.served.served_s < 58.0


def test_without_continuity_the_client_calls_again() -> None:
    world = quiet_world(Fleet("plain", FleetKind.reserved, has_continuity=False))
    world.sessions.arrive(caller(speech_ms=60_000))
    world.agenda.run_until(30_000)
    place = world.places[0]
    (engine,) = [engine for engine in place.room.engines.values() if engine.sessions]
    world.sessions.lost(place.room.remove(engine, 30_000), place, Loss.reset)
    world.agenda.run_until(HOUR_MS)
    result = world.result()
    assert (result.sessions.reconnected, result.sessions.finished) == (1, 1)
    assert result.served.served_s == pytest.approx(60 - 1.0, abs=0.2)


def test_who_is_refused_calls_again_and_gives_up_in_the_end() -> None:
    world = quiet_world(Fleet("none", FleetKind.spot), spot=SpotMarket(short_permille=999, mean_short_s=1e9))
    world.agenda.run_until(2 * HOUR_MS)
    for place in world.places:
        for engine in list(place.room.engines.values()):
            place.room.remove(engine, world.agenda.now_ms)
    world.sessions.arrive(caller(at_ms=world.agenda.now_ms, speech_ms=120_000))
    world.agenda.run_until(3 * HOUR_MS)
    result = world.result()
    assert (result.sessions.refused, result.sessions.calls_refused, result.served.served_s) == (1, 6, 0.0)


def test_the_crowd_knows_who_goes_on() -> None:
    world = quiet_world(RESERVED)
    world.sessions.arrive(caller(speech_ms=60_000))
    assert (world.sessions.crowd.wanted, world.sessions.crowd.live) == (1, 1)
    world.agenda.run_until(HOUR_MS)
    assert (world.sessions.crowd.wanted, world.sessions.crowd.live) == (0, 0)
