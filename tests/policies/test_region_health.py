"""No single sight flips a region, and one that does sessions no good is found however well it answers probes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.breaker import BreakerLimits
from policies.region_health import Cause, Effect, HealthLimits, RegionHealth
from policies.routing_facts import Health

pytestmark = pytest.mark.unit

LIMITS = HealthLimits(
    missed_probes=3,
    low_live_permille=250,
    high_live_permille=350,
    high_lag_ms=5_000,
    low_lag_ms=1_000,
    reports_in_a_row=2,
    held_ms=1_000,
    effect_half_life_ms=10_000,
    min_evidence=4,
    bad_effect_permille=600,
)
BREAKER = BreakerLimits(first_cool_off_ms=2_000, probe_sessions=1)


def a_region() -> RegionHealth:
    return RegionHealth(LIMITS, BREAKER)


def lose(region: RegionHealth, count: int, *, now_ms: int = 0, standing: int = 0) -> None:
    for _ in range(count):
        region.session_ended(now_ms, Effect.silent, placed_at_ms=now_ms, standing=standing)


def test_a_region_of_which_nothing_is_known_admits() -> None:
    region = a_region()
    assert (region.state(0), region.causes(0), region.begin(0)) == (Health.admitting, (), True)


def test_missed_probes_in_a_row_trip_it_and_an_answer_between_them_does_not() -> None:
    region = a_region()
    for answered in (False, False, True, False, False):
        region.probe_answered(0) if answered else region.probe_missed(0)
    assert region.state(0) is Health.admitting
    region.probe_missed(1)
    assert (region.state(1), region.causes(1), region.begin(1)) == (Health.tripped, (Cause.probes_missed,), False)


def test_it_is_well_again_when_probes_were_answered_for_a_time_without_a_break() -> None:
    region = a_region()
    for _ in range(3):
        region.probe_missed(0)
    for at_ms in (100, 600):
        region.probe_answered(at_ms)
    region.probe_missed(1_000)
    for at_ms in (1_100, 2_000):
        region.probe_answered(at_ms)
    assert region.state(2_099) is Health.tripped
    region.probe_answered(2_100)
    assert region.state(2_100) is Health.admitting


def test_one_report_of_dead_streams_changes_nothing_and_the_second_trips_it() -> None:
    region = a_region()
    region.status_heard(0, live_permille=0, lag_ms=0)
    assert region.state(0) is Health.admitting
    region.status_heard(1, live_permille=249, lag_ms=0)
    assert region.causes(1) == (Cause.not_live,)


def test_between_its_marks_it_stays_what_it_was() -> None:
    region = a_region()
    for at_ms in range(0, 10_000, 500):
        region.status_heard(at_ms, live_permille=300, lag_ms=3_000)
    assert region.state(10_000) is Health.admitting
    for at_ms in (10_000, 10_500):
        region.status_heard(at_ms, live_permille=100, lag_ms=9_000)
    for at_ms in range(11_000, 20_000, 500):
        region.status_heard(at_ms, live_permille=300, lag_ms=3_000)
    assert region.causes(20_000) == (Cause.not_live, Cause.lagging)
    for at_ms in (20_000, 20_500, 21_000):
        region.status_heard(at_ms, live_permille=1_000, lag_ms=1_000)
    assert region.state(21_000) is Health.admitting


def test_a_region_that_takes_audio_and_answers_nothing_trips_by_its_effect() -> None:
    region = a_region()
    lose(region, 3)
    assert region.state(0) is Health.admitting
    lose(region, 1)
    assert (region.state(0), region.causes(0)) == (Health.tripped, (Cause.bad_effect,))


def test_good_probes_and_good_reports_do_not_bring_a_bad_effect_back() -> None:
    region = a_region()
    lose(region, 4)
    for at_ms in range(0, 60_000, 500):
        region.probe_answered(at_ms)
        region.status_heard(at_ms, live_permille=1_000, lag_ms=0)
    assert region.state(60_000) is Health.probing
    assert region.causes(60_000) == (Cause.bad_effect,)


def test_only_a_session_that_went_well_after_the_trip_brings_it_back() -> None:
    region = a_region()
    lose(region, 4)
    region.session_ended(2_000, Effect.well, placed_at_ms=-5, standing=9)
    assert region.state(2_000) is Health.probing
    assert (region.begin(2_000), region.begin(2_000)) == (True, False)
    region.session_ended(2_500, Effect.well, placed_at_ms=2_000, standing=1)
    assert (region.state(2_500), region.causes(2_500)) == (Health.admitting, ())


def test_what_was_before_it_came_back_does_not_trip_it_again() -> None:
    region = a_region()
    lose(region, 4)
    region.begin(2_000)
    region.session_ended(2_500, Effect.well, placed_at_ms=2_000, standing=1)
    lose(region, 1, now_ms=2_600, standing=1)
    assert region.state(2_600) is Health.admitting


def test_a_probing_session_that_is_lost_trips_it_for_longer() -> None:
    region = a_region()
    lose(region, 4)
    region.begin(2_000)
    region.session_ended(2_500, Effect.slow, placed_at_ms=2_000, standing=0)
    assert [region.state(at_ms) for at_ms in (6_499, 6_500)] == [Health.tripped, Health.probing]


def test_a_probe_that_was_refused_is_given_back() -> None:
    region = a_region()
    lose(region, 4)
    region.begin(2_000)
    region.turned_away(2_001)
    assert region.begin(2_002)


def test_one_engine_of_many_that_dies_with_its_sessions_does_not_trip_the_region() -> None:
    region = a_region()
    for lost in range(50):
        region.session_ended(0, Effect.silent, placed_at_ms=0, standing=99 - lost)
    assert region.state(0) is Health.admitting
    for lost in range(50, 80):
        region.session_ended(0, Effect.silent, placed_at_ms=0, standing=99 - lost)
    assert region.state(0) is Health.tripped


def test_old_losses_are_forgotten() -> None:
    region = a_region()
    lose(region, 3)
    lose(region, 1, now_ms=60_000)
    assert region.state(60_000) is Health.admitting


signs = st.sampled_from(["answered", "missed", "live", "dead", "well"])


@given(signs=st.lists(st.tuples(signs, st.integers(1, 400)), max_size=60))
def test_whatever_was_before_one_more_sight_of_a_well_region_does_not_trip_it(signs: list[tuple[str, int]]) -> None:
    region, now_ms, bad_in_a_row = a_region(), 0, {"missed": 0, "dead": 0}
    for sign, later_ms in signs:
        now_ms += later_ms
        before = region.state(now_ms)
        match sign:
            case "answered":
                region.probe_answered(now_ms)
            case "missed":
                region.probe_missed(now_ms)
            case "well":
                region.session_ended(now_ms, Effect.well, placed_at_ms=now_ms, standing=1)
            case _:
                region.status_heard(now_ms, live_permille=1_000 if sign == "live" else 0, lag_ms=0)
        for bad, good in (("missed", "answered"), ("dead", "live")):
            bad_in_a_row[bad] = bad_in_a_row[bad] + 1 if sign == bad else 0 if sign == good else bad_in_a_row[bad]
        if before is Health.admitting and region.state(now_ms) is not Health.admitting:
            assert bad_in_a_row["missed"] >= 3 or bad_in_a_row["dead"] >= 2


@pytest.mark.parametrize(
    "limits",
    [
        {"missed_probes": 1},
        {"reports_in_a_row": 1},
        {"low_live_permille": 400, "high_live_permille": 300},
        {"low_lag_ms": 2, "high_lag_ms": 1},
        {"min_evidence": 1},
        {"held_ms": 0},
    ],
)
def test_limits_that_one_sight_could_flip_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"marks of|at least 2"):
        HealthLimits(**limits)
