"""Promises of the step planner."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.batching.planner import StepPlanner

pytestmark = pytest.mark.unit

STEP_US = 1_000


class Planner(StepPlanner):
    """Streams enter by being ready, all of one tenant; steps are taken at the end of time unless said."""

    def ready(self, slot: int, now_us: int, *, tenant: str = "t", is_replay: bool = False) -> None:
        if slot not in self._clocks:
            self.enter(slot, tenant=tenant, is_replay=is_replay)
        self.mark_ready(slot, now_us)


def planner(*, max_batch: int = 1, max_lead_us: int = 4 * STEP_US) -> Planner:
    return Planner(step_us=STEP_US, max_batch=max_batch, max_lead_us=max_lead_us)


def test_the_earliest_due_step_comes_first_and_equals_in_slot_order() -> None:
    plan = planner(max_batch=2)
    for slot, at_us in ((5, 20), (2, 20), (7, 10)):
        plan.ready(slot, at_us)
    assert plan.take(20, surplus_rows=2) == [7, 2]
    assert plan.take(20, surplus_rows=2) == [5]
    assert not plan.waiting
    assert plan.take(20, surplus_rows=2) == []


def test_a_flooding_stream_waits_for_the_live_ones() -> None:
    plan = planner()
    plan.ready(0, 0)
    assert plan.take(0, surplus_rows=1) == [0]
    plan.mark_still_ready(0, 1)  # its next step, far before the audio could have been spoken
    plan.ready(1, 500)
    plan.ready(2, 900)
    assert [plan.take(900, surplus_rows=1) for _ in range(3)] == [[1], [2], [0]]


def test_a_thread_without_due_work_runs_a_step_that_is_ahead_whatever_it_costs() -> None:
    plan = planner(max_batch=4)
    for slot in (0, 1):
        plan.ready(slot, 0)
    assert plan.take(0, surplus_rows=0) == [0, 1]
    for slot in (0, 1):
        plan.mark_still_ready(slot, 1)
    assert plan.take(1, surplus_rows=0) == [0]


def test_steps_ahead_take_no_more_rows_of_a_live_step_than_the_surplus() -> None:
    plan = planner(max_batch=8)
    for slot in range(4):
        plan.ready(slot, 0)
    plan.take(0, surplus_rows=8)
    for slot in range(4):
        plan.mark_still_ready(slot, 1)
    plan.ready(6, 10)
    assert plan.take(10, surplus_rows=2) == [6, 0, 1]


def test_a_replay_catches_up_before_any_flood() -> None:
    plan = planner(max_batch=2)
    plan.ready(0, 0)
    plan.ready(1, 0, is_replay=True)
    plan.take(0, surplus_rows=2)
    plan.mark_still_ready(0, 1)
    plan.mark_still_ready(1, 2)
    assert plan.take(5, surplus_rows=1) == [1]
    plan.mark_still_ready(1, 6)
    plan.caught_up(1)
    assert plan.take(7, surplus_rows=1) == [0]


def test_a_step_whose_audio_was_there_is_due_by_its_pace_even_if_that_is_past() -> None:
    plan = planner(max_batch=1)
    plan.ready(0, 0)
    plan.take(0, surplus_rows=1)
    plan.mark_still_ready(0, 5 * STEP_US)
    assert plan.earliest_due_at_us == STEP_US


def test_saying_twice_that_a_slot_is_ready_does_not_move_its_due() -> None:
    plan = planner()
    plan.ready(1, 10)
    plan.ready(2, 20)
    plan.ready(1, 30)
    assert plan.take(30, surplus_rows=1) == [1]


def test_a_stream_that_caught_up_after_a_replay_is_behind_the_live_ones_by_the_lead_at_most() -> None:
    plan = planner(max_lead_us=2 * STEP_US)
    plan.ready(0, 0)
    for _ in range(50):
        assert plan.take(0, surplus_rows=1) == [0]
        plan.mark_still_ready(0, 0)
    plan.ready(1, 2 * STEP_US + 1)
    assert plan.take(2 * STEP_US + 1, surplus_rows=1) == [0]


def test_a_slot_that_changed_hands_waits_for_nothing_and_starts_its_clock_anew() -> None:
    plan = planner()
    plan.ready(0, 0)
    plan.take(0, surplus_rows=1)
    plan.mark_still_ready(0, 1)
    plan.forget(0)
    assert not plan.waiting
    plan.ready(0, 2)
    plan.ready(1, 3)
    assert plan.take(3, surplus_rows=1) == [0]


def overloaded_rows(streams_of: dict[str, int], *, max_batch: int, batches: int) -> Counter[str]:
    """Rows of each tenant when every stream always has a step and the thread does half of what they ask for."""
    plan = planner(max_batch=max_batch)
    tenant_of = [tenant for tenant, count in streams_of.items() for _ in range(count)]
    for slot, tenant in enumerate(tenant_of):
        plan.ready(slot, 0, tenant=tenant)
    batch_us = 2 * STEP_US * max_batch // len(tenant_of) or 1
    rows: Counter[str] = Counter()
    for number in range(batches):
        now_us = number * batch_us
        for slot in plan.take(now_us, surplus_rows=max_batch):
            rows[tenant_of[slot]] += 1
            plan.mark_still_ready(slot, now_us)
    return rows


def test_under_overload_a_tenant_of_many_streams_takes_nothing_from_a_tenant_of_one() -> None:
    """One stream asks for less than its tenant's even share: it gets what it asks for."""
    rows = overloaded_rows({"big": 39, "small": 1}, max_batch=4, batches=400)
    asked = 400 * 2 * 4 // 40  # one row in each step duration
    assert rows["small"] >= asked * 0.9


def test_under_overload_tenants_of_many_streams_get_even_shares() -> None:
    rows = overloaded_rows({"one": 30, "two": 10}, max_batch=2, batches=2_000)
    assert rows["one"] + rows["two"] == 4_000
    assert rows["two"] >= 950  # all that ten streams ask for is 1,000: less than an even share


def test_a_claim_of_before_the_overload_counts_for_nothing() -> None:
    plan = planner(max_batch=1)
    plan.enter(0, tenant="old")
    for step in range(100):  # alone for long, and never late
        plan.mark_ready(0, step * STEP_US)
        assert plan.take(step * STEP_US, surplus_rows=1) == [0]
    now_us = 101 * STEP_US
    for slot, tenant in enumerate(["old", "old", "new", "new"]):
        plan.enter(slot, tenant=tenant)
        plan.mark_ready(slot, now_us)
    late_us = now_us + 2 * STEP_US
    assert [plan.take(late_us, surplus_rows=1) for _ in range(4)] == [[2], [0], [3], [1]]  # in turns


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
            if slot in plan._clocks:
                plan.mark_still_ready(slot, now_us)
            else:
                plan.ready(slot, now_us)
        for slot in live:
            if next_audio_at_us[slot] <= now_us:
                assert slot not in waits_since_us, "a live stream was not stepped before its next audio"
                waits_since_us[slot] = now_us
                next_audio_at_us[slot] += STEP_US
                plan.ready(slot, now_us)
        for slot in plan.take(now_us, surplus_rows=max_batch):
            waits_since_us.pop(slot, None)
        now_us += batch_us


@settings(max_examples=100, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.integers(0, 3 * STEP_US)), min_size=1, max_size=60
    ),
    max_batch=st.integers(1, 4),
    surplus_rows=st.integers(0, 4),
)
def test_every_ready_slot_is_stepped_within_a_bounded_number_of_batches(
    arrivals: list[tuple[int, str, int]], max_batch: int, surplus_rows: int
) -> None:
    """Overload: others become ready again at once, for ever. Time moves by one step duration a batch.

    With ten streams of three tenants and a row a batch, a stream waits for its tenant's turn, which is every third,
    and there for at most nine others; twice that, as tenants come and go.
    """
    plan = planner(max_batch=max_batch)
    now_us = 0
    waiting_batches: dict[int, int] = {}
    for slot, tenant, gap_us in arrivals:
        now_us += gap_us
        plan.ready(slot, now_us, tenant=tenant)
        waiting_batches.setdefault(slot, 0)
        batch = plan.take(now_us, surplus_rows=surplus_rows)
        assert 1 <= len(batch) <= max_batch
        assert len(set(batch)) == len(batch)
        now_us += STEP_US
        for stepped in batch:
            waiting_batches.pop(stepped)
        for other in waiting_batches:
            waiting_batches[other] += 1
            assert waiting_batches[other] <= 2 * 3 * 9, "starved"
        for stepped in batch:
            plan.mark_still_ready(stepped, now_us)
            waiting_batches[stepped] = 0
