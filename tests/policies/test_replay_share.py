"""Replays take a share of an engine, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.replay_share import ReplayLimits, Room, admits_replay, replays_at_once

pytestmark = pytest.mark.unit

LIMITS = ReplayLimits(share_permille=250)


def test_a_replay_at_four_times_real_time_costs_three_streams_beyond_its_own() -> None:
    assert replays_at_once(Room(120), speed_permille=4_000, limits=LIMITS) == 10


def test_what_free_slots_would_take_is_there_for_replays_too() -> None:
    assert replays_at_once(Room(120, slots_free=60), speed_permille=4_000, limits=LIMITS) == 30


def test_an_engine_that_is_full_of_replays_admits_no_more() -> None:
    asked = [admits_replay(Room(120), catching_up=count, speed_permille=4_000, limits=LIMITS) for count in (9, 10)]
    assert asked == [True, False]


@given(
    slots=st.integers(0, 10_000),
    free=st.integers(0, 10_000),
    speed=st.integers(0, 100_000),
    share=st.integers(1, 1_000),
)
def test_replays_stay_within_their_share_and_one_is_always_admitted(
    slots: int, free: int, speed: int, share: int
) -> None:
    room = Room(slots, min(slots, free))
    count = replays_at_once(room, speed_permille=speed, limits=ReplayLimits(share))
    assert count >= 1
    assert count == 1 or count * (speed - 1_000) <= slots * share + room.slots_free * 1_000 or speed <= 1_000
    assert admits_replay(room, catching_up=0, speed_permille=speed, limits=ReplayLimits(share))


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="replays need some share"):
        ReplayLimits(share_permille=0)
