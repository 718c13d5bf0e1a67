"""The wait for a missing datagram is as long as this network needs it, and no longer than is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.reorder_window import CLEAN_LOSSES, FEWEST_MS, PACKET_THRESHOLD, ReorderWindow

pytestmark = pytest.mark.unit

MOST_MS = 50
ROUND_TRIP_US = 40_000


def window_of(round_trip_us: int | None = ROUND_TRIP_US, most_ms: int = MOST_MS) -> ReorderWindow:
    window = ReorderWindow(most_ms)
    window.round_trip(round_trip_us)
    return window


def lose(window: ReorderWindow, times: int) -> list[int]:
    """The width after each loss."""
    widths = []
    for _ in range(times):
        window.given_up()
        widths.append(window.width_ms)
    return widths


@pytest.mark.parametrize(
    ("round_trip_us", "width_ms"),
    [(None, MOST_MS), (300, FEWEST_MS), (8_000, 2), (9_000, 3), (40_000, 10), (100_000, 25), (600_000, MOST_MS)],
)
def test_it_begins_at_a_quarter_of_the_round_trip_within_its_bounds(round_trip_us: int | None, width_ms: int) -> None:
    assert window_of(round_trip_us).width_ms == width_ms


def test_no_floor_is_above_what_is_allowed() -> None:
    assert window_of(most_ms=0).width_ms == 0
    assert window_of(None, most_ms=0).width_ms == 0
    assert window_of(most_ms=1).width_ms == 1


def test_one_that_comes_after_all_widens_it_to_what_that_one_needed() -> None:
    window = window_of()
    window.came_after_all(23)
    assert window.width_ms == 30
    window = window_of()
    window.came_after_all(10)  # just too late
    assert window.width_ms == 20


def test_each_that_comes_after_all_widens_it_by_a_step_at_least_up_to_what_is_allowed() -> None:
    window = window_of()
    widths = []
    for _ in range(6):
        window.came_after_all(0)
        widths.append(window.width_ms)
    assert widths == [20, 30, 40, MOST_MS, MOST_MS, MOST_MS]


def test_one_that_no_width_would_have_waited_for_widens_it_by_one_step() -> None:
    window = window_of()
    window.came_after_all(3_000)
    assert window.width_ms == 20


def test_it_is_narrower_again_after_so_many_losses_without_need_for_its_width() -> None:
    window = window_of()
    window.came_after_all(23)
    assert lose(window, 3 * CLEAN_LOSSES) == (
        [30] * (CLEAN_LOSSES - 1) + [20] * CLEAN_LOSSES + [10] * (CLEAN_LOSSES + 1)
    )


def test_a_width_that_was_needed_in_between_stays() -> None:
    window = window_of()
    window.came_after_all(23)
    for _ in range(5):
        assert lose(window, CLEAN_LOSSES - 1)[-1] == 30
        window.filled(21)  # a narrower one would have lost it
    assert lose(window, CLEAN_LOSSES - 1)[-1] == 30
    window.filled(19)
    assert lose(window, 1) == [20]


def test_three_later_ones_are_enough_until_anything_came_out_of_its_order() -> None:
    window = window_of()
    assert window.packet_threshold == PACKET_THRESHOLD == 3
    window.filled(0)
    assert window.packet_threshold is None
    lose(window, CLEAN_LOSSES - 1)
    assert window.packet_threshold is None
    lose(window, 1)
    assert window.packet_threshold == PACKET_THRESHOLD
    window.came_after_all(5)
    assert window.packet_threshold is None


def test_a_shorter_round_trip_that_is_seen_later_counts() -> None:
    window = window_of(None)
    window.came_after_all(60)
    assert window.width_ms == MOST_MS
    window.round_trip(ROUND_TRIP_US)
    assert window.width_ms == 10


events = st.one_of(
    st.tuples(st.sampled_from(["filled", "came_after_all"]), st.integers(0, 10_000)),
    st.tuples(st.just("given_up"), st.just(0)),
    st.tuples(st.just("round_trip"), st.integers(1, 2_000_000)),
)


@given(st.lists(events, max_size=200), st.integers(0, 5_000))
def test_whatever_happens_it_stays_within_its_bounds(happened: list[tuple[str, int]], most_ms: int) -> None:
    window = ReorderWindow(most_ms)
    for what, number in happened:
        before_ms = window.width_ms
        if what == "given_up":
            window.given_up()
            assert window.width_ms <= before_ms
        elif what == "round_trip":
            window.round_trip(number)
        else:
            getattr(window, what)(number)
            assert window.width_ms >= before_ms
        assert min(FEWEST_MS, most_ms) <= window.width_ms <= most_ms


@given(st.integers(1, 2_000_000), st.lists(st.integers(0, MOST_MS - 1), min_size=1, max_size=40))
def test_what_one_needed_once_is_given_from_then_on_until_so_many_losses_did_not(
    round_trip_us: int, needed_ms: list[int]
) -> None:
    window = window_of(round_trip_us)
    for each_ms in needed_ms:
        if each_ms >= window.width_ms:
            window.came_after_all(each_ms)
        assert window.width_ms == MOST_MS or window.width_ms > each_ms
    lose(window, CLEAN_LOSSES - 1)
    assert window.width_ms == MOST_MS or window.width_ms > max(needed_ms)
