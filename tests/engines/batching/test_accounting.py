"""Promises of the compute ledger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.batching.accounting import ComputeLedger, split_evenly

pytestmark = pytest.mark.unit


@given(total_us=st.integers(0, 10**9), parts=st.integers(1, 300))
def test_shares_of_a_step_are_even_and_sum_to_it_exactly(total_us: int, parts: int) -> None:
    shares_us = split_evenly(total_us, parts)
    assert len(shares_us) == parts
    assert sum(shares_us) == total_us
    assert max(shares_us) - min(shares_us) <= 1


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 40)), max_size=60))
def test_every_microsecond_is_charged_once_with_the_step_that_follows_it(turns: list[tuple[int, int]]) -> None:
    ledger = ComputeLedger()
    charged_us = since_us = 0
    for elapsed_us, rows in turns:
        ledger.worked(elapsed_us)
        since_us += elapsed_us
        if rows:
            shares_us = ledger.charge(rows)
            assert sum(shares_us) == since_us
            charged_us += since_us
            since_us = 0
    assert ledger.charged_us == charged_us
    assert ledger.busy_us == charged_us + since_us
