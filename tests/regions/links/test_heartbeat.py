"""Promises of the heartbeat: what a pong shows, and what is still waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.links.heartbeat import MAX_UNANSWERED, Heartbeat, RttSample

pytestmark = pytest.mark.unit


def heart(now_s: float = 10.0) -> Heartbeat:
    return Heartbeat(interval_ms=500, now_s=now_s)


def test_a_message_that_goes_anyway_takes_the_ping_along_when_it_is_nearly_due() -> None:
    beat = heart()
    assert (beat.rides_from_s, beat.due_at_s) == (10.375, 10.5)
    beat.ping(10.4)
    assert (beat.rides_from_s, beat.due_at_s) == (pytest.approx(10.775), pytest.approx(10.9))


def test_a_pong_shows_the_round_trip_and_how_far_the_clocks_are_apart() -> None:
    beat = heart()
    sequence = beat.ping(20.0)
    assert beat.pong(sequence, unix_ms=5_100, now_s=20.2, now_unix_ms=2_000) == RttSample(200_000, 3_200)


def test_a_late_pong_is_matched_with_its_own_ping() -> None:
    beat = heart()
    first, second = beat.ping(1.0), beat.ping(2.0)
    late = beat.pong(first, unix_ms=0, now_s=2.5, now_unix_ms=0)
    next_one = beat.pong(second, unix_ms=0, now_s=2.6, now_unix_ms=0)
    assert late is not None
    assert next_one is not None
    assert (late.rtt_us, next_one.rtt_us) == (1_500_000, 600_000)


def test_a_pong_of_nothing_shows_nothing() -> None:
    beat = heart()
    sequence = beat.ping(1.0)
    assert beat.pong(99, unix_ms=0, now_s=2.0, now_unix_ms=0) is None
    assert beat.pong(sequence, unix_ms=0, now_s=2.0, now_unix_ms=0) is None


def test_who_never_answered_a_ping_is_not_waited_for() -> None:
    beat = heart(now_s=0.0)
    beat.ping(1.0)
    assert beat.unanswered_since_s() is None
    beat.pong(beat.ping(2.0), unix_ms=0, now_s=2.1, now_unix_ms=0)
    assert beat.unanswered_since_s() is None
    beat.ping(3.0)
    beat.ping(4.0)
    assert beat.unanswered_since_s() == 3.0


def test_while_this_process_slept_nobody_was_late() -> None:
    beat = heart()
    beat.pong(beat.ping(11.0), unix_ms=0, now_s=11.1, now_unix_ms=0)
    sequence = beat.ping(12.0)
    beat.forgive_until(17.0)
    assert beat.unanswered_since_s() == 17.0
    sample = beat.pong(sequence, unix_ms=0, now_s=18.0, now_unix_ms=0)
    assert sample is not None
    assert sample.rtt_us == 6_000_000


@given(st.lists(st.integers(0, 200), max_size=200))
def test_whatever_is_answered_round_trips_are_not_negative_and_what_is_remembered_is_bounded(
    answers: list[int],
) -> None:
    beat = heart(now_s=0.0)
    for now_s, answer in enumerate(answers):
        beat.ping(float(now_s))
        sample = beat.pong(answer, unix_ms=0, now_s=float(now_s), now_unix_ms=0)
        assert sample is None or sample.rtt_us >= 0
        since_s = beat.unanswered_since_s()
        assert since_s is None or now_s - since_s <= MAX_UNANSWERED
