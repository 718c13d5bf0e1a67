"""A slow engine is known by what it consumes while audio waits, not by how much waits."""

from __future__ import annotations

import pytest

from gateway.session.slowness import Slowness, SlownessLimits

pytestmark = pytest.mark.unit

MS = 16


def run(slowness: Slowness, *, pace_permille: int, until_ms: int, is_replaying: bool = False) -> int | None:
    """Steps of 100 ms by an engine that is behind all the time; when it was found slow."""
    for now_ms in range(0, until_ms, 100):
        if slowness.is_slow(now_ms * MS * pace_permille // 1_000, now_ms, is_replaying=is_replaying):
            return now_ms
    return None


def make() -> Slowness:
    return Slowness(SlownessLimits(after_ms=1_000, move_within_ms=3_000, rest_ms=5_000), 0)


@pytest.mark.parametrize("pace_permille", [0, 300, 900])
def test_an_engine_that_consumes_less_than_time_passes_is_slow(pace_permille: int) -> None:
    found_at_ms = run(make(), pace_permille=pace_permille, until_ms=3_000)
    assert found_at_ms is not None
    assert found_at_ms >= 1_000


@pytest.mark.parametrize("pace_permille", [1_000, 1_100, 8_000])
def test_an_engine_that_has_much_to_do_and_does_it_is_not(pace_permille: int) -> None:
    """A flood, or a replay."""
    assert run(make(), pace_permille=pace_permille, until_ms=20_000) is None


def test_a_replay_has_more_patience() -> None:
    assert run(make(), pace_permille=500, until_ms=3_900, is_replaying=True) is None
    assert run(make(), pace_permille=500, until_ms=4_200, is_replaying=True) == 4_000


def test_an_engine_that_keeps_up_between_is_judged_anew() -> None:
    slowness = make()
    assert run(slowness, pace_permille=0, until_ms=900) is None
    slowness.keeps_up()
    assert not slowness.is_slow(0, 1_800, is_replaying=False)
    assert not slowness.is_slow(0, 2_700, is_replaying=False)


def test_steps_that_are_long_are_compared_where_they_end() -> None:
    """600 ms of audio every 600 ms, looked at every 100 ms."""
    slowness = make()
    for now_ms in range(0, 10_000, 100):
        assert not slowness.is_slow(now_ms // 600 * 600 * MS, now_ms, is_replaying=False)


def test_after_a_move_nothing_is_found_for_a_while() -> None:
    slowness = make()
    slowness.rest(0)
    assert run(slowness, pace_permille=0, until_ms=5_900) is None
