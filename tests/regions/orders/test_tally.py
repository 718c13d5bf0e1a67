"""How far an order has come: every session that was on the target is counted once, as gone, on its way or stuck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from regions.orders.tally import OrderTally, Standing

pytestmark = pytest.mark.unit

STANDING = some.dictionaries(
    some.sampled_from("abcdef"),
    some.builds(Standing, some.booleans(), some.sampled_from(["", "no_free_slot"]), some.booleans()),
)


def tally() -> OrderTally:
    return OrderTally("0123456789ab", within_ms=1_000, started_at_unix_ms=5_000)


def test_sessions_move_or_end_or_have_nowhere_to_go() -> None:
    counted = tally()
    counted.look(
        {"a": Standing(), "b": Standing(is_told=True), "c": Standing(), "d": Standing(is_own=False), "e": Standing()},
        is_alive=lambda _: True,
        unix_ms=5_100,
    )
    moved = counted.look(
        {"b": Standing(is_told=True), "e": Standing(stays_because="no_free_slot")},
        is_alive=lambda session_id: session_id == "a",
        unix_ms=5_300,
    )
    progress = counted.progress(5_300)
    assert moved == 1
    assert (progress.moved, progress.ended, progress.peers_gone) == (1, 1, 1)
    assert (progress.moving, progress.waiting, progress.left, progress.stuck) == (1, 0, 2, {"no_free_slot": 1})
    assert (progress.total, progress.is_late, progress.done_at_unix_ms) == (5, False, 0)
    assert counted.progress(6_000).is_late


def test_it_is_done_when_nothing_is_left_and_not_when_something_came_again() -> None:
    counted = tally()
    counted.look({}, is_alive=lambda _: True, unix_ms=5_100)
    assert counted.progress(5_200).done_at_unix_ms == 5_100
    counted.look({}, is_alive=lambda _: True, unix_ms=5_300)
    assert counted.progress(5_300).done_at_unix_ms == 5_100
    counted.look({"a": Standing()}, is_alive=lambda _: True, unix_ms=5_400)
    assert not counted.is_done


@given(some.lists(STANDING, max_size=10))
def test_the_parts_always_add_up(looks: list[dict[str, Standing]]) -> None:
    counted = tally()
    for standing in looks:
        counted.look(standing, is_alive=lambda session_id: session_id < "d", unix_ms=5_100)
        progress = counted.progress(5_100)
        assert progress.left == progress.moving + progress.waiting + sum(progress.stuck.values())
        assert progress.total == progress.left + progress.moved + progress.ended + progress.peers_gone
        assert min(progress.moving, progress.waiting) >= 0
