"""Promises of the capacity rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.batching.capacity import (
    UNLIMITED,
    ModelDemand,
    fastest_permille,
    free_streams,
    load_permille,
    real_time_streams,
)
from engines.batching.costs import StepCosts
from engines.contract import StepTime

pytestmark = pytest.mark.unit

STEP_US = 320_000


def streams(*pairs: tuple[int, int], max_batch: int = 10_000, busy_permille: int = 1_000) -> int:
    costs = StepCosts([StepTime(batch, step_us) for batch, step_us in pairs])
    return real_time_streams(costs, step_us=STEP_US, max_batch=max_batch, busy_permille=busy_permille)


def test_capacity_is_what_the_best_batch_serves_in_the_allowed_time() -> None:
    assert streams((1, 1_000), (10, 5_000), max_batch=10) == 640
    assert streams((1, 1_000), (10, 5_000), max_batch=10, busy_permille=800) == 512


def test_where_nobody_asks_how_busy_the_thread_is_there_is_no_limit() -> None:
    assert streams((1, 1_000_000), busy_permille=0) == UNLIMITED


def test_a_step_that_takes_more_than_half_of_its_audio_serves_nobody_in_time() -> None:
    assert streams((1, 160_001)) == 0
    assert streams((1, 160_000), max_batch=1) == 2


def test_a_stream_goes_no_faster_than_its_steps_alone() -> None:
    assert fastest_permille(StepCosts([StepTime(1, 160_000)]), step_us=STEP_US) == 2_000


def test_batches_too_slow_to_be_in_time_do_not_count() -> None:
    """A batch of 100 would serve more, and each word would come late."""
    assert streams((1, 100_000), (100, 170_000), max_batch=100) < 200


@given(cost_us=st.integers(1, 200_000), rows=st.integers(1, 64), busy_permille=st.integers(1, 1_000))
def test_granted_streams_never_ask_for_more_than_the_allowed_time(cost_us: int, rows: int, busy_permille: int) -> None:
    costs = StepCosts([StepTime(1, cost_us), StepTime(rows + 1, cost_us * (rows + 1))])
    granted = real_time_streams(costs, step_us=STEP_US, max_batch=rows + 1, busy_permille=busy_permille)
    # A stream costs at least a row of the cheapest batch.
    assert granted * cost_us <= STEP_US * busy_permille / 1_000


demands = st.lists(st.builds(ModelDemand, st.integers(0, 50), st.integers(0, 100)), min_size=1, max_size=4)


@given(demands=demands, data=st.data())
def test_as_many_streams_as_are_free_fit_and_one_more_does_not(demands: list[ModelDemand], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(demands) - 1))
    free = free_streams(demands, number)
    assert free >= 0

    def load_with(extra: int) -> int:
        wanted = demands[number]
        changed = [*demands]
        changed[number] = ModelDemand(wanted.streams + extra, wanted.capacity)
        return load_permille(changed)

    if free:
        assert load_with(free) <= 1_000
    assert load_with(free + 1) > 1_000 or demands[number].capacity == 0


def test_models_share_one_thread() -> None:
    half_full = [ModelDemand(50, 100), ModelDemand(0, 40)]
    assert free_streams(half_full, 0) == 50
    assert free_streams(half_full, 1) == 20


def test_open_streams_of_a_model_that_cannot_keep_pace_leave_no_room() -> None:
    assert free_streams([ModelDemand(1, 0), ModelDemand(0, 40)], 1) == 0
