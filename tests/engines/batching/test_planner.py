"""Promises of the step planner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.batching.planner import StepPlanner

pytestmark = pytest.mark.unit

STEP_US = 1_000


def planner(*, max_batch: int = 1, max_lead_us: int = 4 * STEP_US) -> StepPlanner:
    return StepPlanner(step_us=STEP_US, max_batch=max_batch, max_lead_us=max_lead_us)


def test_the_earliest_due_step_comes_first_and_equals_in_slot_order() -> None:
    plan = planner(max_batch=2)
    plan.mark_ready(5, 20)
    plan.mark_ready(2, 20)
    plan.mark_ready(7, 10)
    assert plan.take() == [7, 2]
    assert plan.take() == [5]
    assert not plan.has_waiting


def test_a_flooding_stream_waits_for_the_live_ones() -> None:
    plan = planner()
    plan.mark_ready(0, 0)
    assert plan.take() == [0]
    plan.mark_ready(0, 1)  # its next step, far before the audio could have been spoken
    plan.mark_ready(1, 500)
    plan.mark_ready(2, 900)
    assert [plan.take(), plan.take(), plan.take()] == [[1], [2], [0]]


def test_saying_twice_that_a_slot_is_ready_does_not_move_its_due() -> None:
    plan = planner()
    plan.mark_ready(1, 10)
    plan.mark_ready(2, 20)
    plan.mark_ready(1, 30)
    assert plan.take() == [1]


def test_a_stream_that_caught_up_after_a_replay_is_behind_the_live_ones_by_the_lead_at_most() -> None:
    plan = planner(max_lead_us=2 * STEP_US)
    for _ in range(50):
        plan.mark_ready(0, 0)
        assert plan.take() == [0]
    plan.mark_ready(0, 100)
    plan.mark_ready(1, 100 + 2 * STEP_US + 1)
    assert plan.take() == [0]


def test_a_slot_that_changed_hands_waits_for_nothing_and_starts_its_clock_anew() -> None:
    plan = planner()
    plan.mark_ready(0, 0)
    plan.take()
    plan.mark_ready(0, 1)
    plan.forget(0)
    assert not plan.has_waiting
    plan.mark_ready(0, 2)
    plan.mark_ready(1, 3)
    assert plan.take() == [0]


@settings(max_examples=100, deadline=None)
@given(
    flooders=st.sets(st.integers(0, 7), max_size=4),
    live=st.sets(st.integers(8, 15), min_size=1, max_size=6),
    max_batch=st.integers(1, 5),
    offsets=st.lists(st.integers(0, STEP_US - 1), min_size=16, max_size=16),
)
def test_no_flood_delays_a_live_stream_by_more_than_the_live_load_explains(
    flooders: set[int], live: set[int], max_batch: int, offsets: list[int]
) -> None:
    """A batch takes as long as keeps all streams, were all of them live, just in time."""
    plan = planner(max_batch=max_batch)
    batches_a_step = -(-(len(live) + len(flooders)) // max_batch)
    batch_us = STEP_US // (2 * batches_a_step) or 1
    next_audio_at_us = {slot: offsets[slot] for slot in live}
    waits_since_us: dict[int, int] = {}
    now_us = 0
    while now_us < 12 * STEP_US:
        for slot in flooders:
            plan.mark_ready(slot, now_us)
        for slot in live:
            if next_audio_at_us[slot] <= now_us:
                assert slot not in waits_since_us, "a live stream was not stepped before its next audio"
                waits_since_us[slot] = now_us
                next_audio_at_us[slot] += STEP_US
                plan.mark_ready(slot, now_us)
        for slot in plan.take():
            waits_since_us.pop(slot, None)
        now_us += batch_us


@settings(max_examples=100, deadline=None)
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3 * STEP_US)), min_size=1, max_size=60),
    max_batch=st.integers(1, 4),
)
def test_every_ready_slot_is_stepped_within_a_bounded_number_of_batches(
    arrivals: list[tuple[int, int]], max_batch: int
) -> None:
    """Overload: others become ready again at once, for ever. Time moves by one step duration a batch."""
    plan = planner(max_batch=max_batch)
    now_us = 0
    waiting_batches: dict[int, int] = {}
    for slot, gap_us in arrivals:
        now_us += gap_us
        plan.mark_ready(slot, now_us)
        waiting_batches.setdefault(slot, 0)
        batch = plan.take()
        assert 1 <= len(batch) <= max_batch
        now_us += STEP_US
        for stepped in batch:
            waiting_batches.pop(stepped)
        for other in waiting_batches:
            waiting_batches[other] += 1
            assert waiting_batches[other] <= 10 + 4, "starved"
        for stepped in batch:
            plan.mark_ready(stepped, now_us)
            waiting_batches[stepped] = 0
