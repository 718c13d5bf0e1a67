"""What fails sessions is held out for a while, and lets a few in before it is trusted again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.breaker import Breaker, BreakerLimits, held_out
from policies.routing_facts import Health

pytestmark = pytest.mark.unit

LIMITS = BreakerLimits(
    failures_in_a_row=3,
    first_cool_off_ms=1_000,
    max_cool_off_ms=2_500,
    forgive_after_ms=10_000,
    probe_sessions=2,
    probe_timeout_ms=500,
)


def tripped(at_ms: int = 0) -> Breaker:
    breaker = Breaker(LIMITS)
    breaker.trip(at_ms)
    return breaker


def test_failures_in_a_row_trip_it() -> None:
    breaker = Breaker(LIMITS)
    for at_ms in (1, 2):
        breaker.failed(at_ms, placed_at_ms=0)
    assert breaker.state(2) is Health.admitting
    breaker.failed(3, placed_at_ms=0)
    assert (breaker.state(3), breaker.begin(3)) == (Health.tripped, False)


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker(LIMITS)
    for at_ms in (1, 2):
        breaker.failed(at_ms, placed_at_ms=0)
    breaker.succeeded(3, placed_at_ms=0)
    breaker.failed(4, placed_at_ms=0)
    assert breaker.state(4) is Health.admitting


def test_after_its_cool_off_it_admits_so_many_probes_and_no_more() -> None:
    breaker = tripped()
    assert breaker.cool_off_left_ms(400) == 600
    assert (breaker.state(999), breaker.state(1_000)) == (Health.tripped, Health.probing)
    assert [breaker.begin(1_000) for _ in range(3)] == [True, True, False]


def test_a_probe_that_was_never_heard_of_makes_room_for_another() -> None:
    breaker = tripped()
    assert [breaker.begin(at_ms) for at_ms in (1_000, 1_100, 1_499, 1_500, 1_501)] == [True, True, False, True, False]


def test_a_probe_that_was_turned_away_is_given_back() -> None:
    breaker = tripped()
    breaker.begin(1_000)
    breaker.begin(1_000)
    breaker.turned_away(1_001)
    assert (breaker.begin(1_002), breaker.begin(1_002)) == (True, False)


def test_one_success_of_a_probe_closes_it() -> None:
    breaker = tripped()
    breaker.begin(1_000)
    breaker.succeeded(1_200, placed_at_ms=1_000)
    assert breaker.state(1_200) is Health.admitting
    assert all(breaker.begin(1_200) for _ in range(10))


def test_each_trip_in_a_row_cools_off_longer_up_to_a_bound() -> None:
    breaker, at_ms, cool_offs = Breaker(LIMITS), 0, []
    breaker.trip(0)
    for _ in range(4):
        cool_offs.append(breaker.cool_off_left_ms(at_ms))
        at_ms += cool_offs[-1]
        breaker.begin(at_ms)
        breaker.failed(at_ms, placed_at_ms=at_ms)
    assert cool_offs == [1_000, 2_000, 2_500, 2_500]


def test_calm_takes_trips_off_the_count() -> None:
    breaker = tripped()
    breaker.failed(1_000, placed_at_ms=1_000)
    breaker.succeeded(3_000, placed_at_ms=3_000)
    assert breaker.state(3_000) is Health.admitting
    breaker.trip(3_000 + 2 * LIMITS.forgive_after_ms)
    assert breaker.cool_off_left_ms(3_000 + 2 * LIMITS.forgive_after_ms) == 1_000


@pytest.mark.parametrize("at_ms", [500, 1_000])
def test_sessions_placed_before_the_trip_neither_close_it_nor_lengthen_it(at_ms: int) -> None:
    breaker = tripped()
    was = breaker.state(at_ms)
    breaker.succeeded(at_ms, placed_at_ms=-1)
    breaker.failed(at_ms, placed_at_ms=-1)
    assert (breaker.state(at_ms), breaker.cool_off_left_ms(0)) == (was, 1_000)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3_000), st.sampled_from(["begin", "succeeded", "failed", "trip"])), max_size=60
    )
)
def test_no_more_probes_than_allowed_are_under_way_and_cool_offs_are_bounded(steps: list[tuple[int, str]]) -> None:
    breaker, now_ms, probes = Breaker(LIMITS), 0, []
    for later_ms, step in steps:
        now_ms += later_ms
        state = breaker.state(now_ms)
        if step == "begin":
            may = breaker.begin(now_ms)
            assert may or state is not Health.admitting
            assert not may or state is not Health.tripped
            probes = [at_ms for at_ms in probes if at_ms > now_ms - LIMITS.probe_timeout_ms]
            if may and state is Health.probing:
                probes.append(now_ms)
                assert len(probes) <= LIMITS.probe_sessions
        else:
            probes = []
            breaker.trip(now_ms) if step == "trip" else getattr(breaker, step)(now_ms, placed_at_ms=now_ms)
        assert breaker.cool_off_left_ms(now_ms) <= LIMITS.max_cool_off_ms


@given(names=st.lists(st.text(min_size=1), unique=True, max_size=8), others=st.integers(0, 8))
def test_no_more_than_the_share_is_held_out_the_worst_first(names: list[str], others: int) -> None:
    out = held_out(names, among=len(names) + others, max_permille=500)
    assert out == frozenset(names[: len(out)])
    assert len(out) == min(len(names), (len(names) + others) // 2)


def test_the_only_one_is_never_held_out() -> None:
    assert held_out(["only"], among=1, max_permille=500) == frozenset()


@pytest.mark.parametrize(
    "limits", [{"failures_in_a_row": 0}, {"probe_sessions": 0}, {"first_cool_off_ms": 10, "max_cool_off_ms": 5}]
)
def test_limits_that_make_no_breaker_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"breaker needs|cool-offs must rise"):
        BreakerLimits(**limits)
