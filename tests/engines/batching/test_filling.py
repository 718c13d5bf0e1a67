"""Promises of the rule that fills batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.batching.filling import MAX_WAIT_SHARE, FillFacts, fill_wait_us

pytestmark = pytest.mark.unit

GPU = FillFacts(waiting=1, live=100, max_batch=128, step_us=320_000, fixed_us=4_000, row_us=50, busy_permille=1_000)
"""A step costs 4 ms before its first row: batches pay."""


def test_a_row_waits_for_others_where_a_step_s_fixed_cost_is_saved() -> None:
    assert fill_wait_us(GPU) == 320_000 // 6


def test_nobody_waits_while_the_thread_has_time_to_spare_and_longer_the_less_it_has() -> None:
    waits_us = [fill_wait_us(replace(GPU, busy_permille=busy)) for busy in (0, 500, 501, 750, 1_000)]
    assert waits_us[:2] == [0, 0]
    assert waits_us[2:] == [106, 26_666, 53_333]


def test_nobody_waits_when_all_are_there_or_the_batch_is_full() -> None:
    assert fill_wait_us(replace(GPU, waiting=100)) == 0
    assert fill_wait_us(replace(GPU, waiting=8, max_batch=8)) == 0


def test_nobody_waits_where_rows_cost_as_much_alone() -> None:
    assert fill_wait_us(replace(GPU, fixed_us=40, row_us=300)) == 0


def test_the_wait_ends_when_enough_rows_are_expected() -> None:
    """Seven rows are worth waiting for; a hundred streams bring six more within 19.2 ms."""
    assert fill_wait_us(replace(GPU, fixed_us=50, row_us=50)) == 6 * 320_000 // 100


@given(
    st.builds(
        FillFacts,
        waiting=st.integers(1, 300),
        live=st.integers(1, 300),
        max_batch=st.integers(1, 300),
        step_us=st.integers(1_000, 2_000_000),
        fixed_us=st.integers(0, 100_000),
        row_us=st.integers(1, 100_000),
        busy_permille=st.integers(0, 1_000),
    )
)
def test_no_wait_is_longer_than_a_sixth_of_the_audio(facts: FillFacts) -> None:
    assert 0 <= fill_wait_us(facts) <= facts.step_us // MAX_WAIT_SHARE
