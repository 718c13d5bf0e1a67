"""A step runs at the smallest size that holds its rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engines.backends.tensorrt.batches import BatchRange, bucket_for, bucket_sizes

pytestmark = pytest.mark.unit


@given(some.integers(1, 300), some.integers(1, 300), some.integers(1, 300))
def test_every_step_finds_the_smallest_size_that_holds_it(least: int, more: int, max_batch: int) -> None:
    batches = BatchRange(least, least, least + more)
    buckets = bucket_sizes(batches, max_batch=max_batch)
    assert buckets == tuple(sorted(set(buckets)))
    assert all(batches.least <= size <= batches.most for size in buckets)
    assert buckets[-1] == max(least, min(max_batch, batches.most))
    for rows in range(1, buckets[-1] + 1):
        size = bucket_for(rows, buckets)
        assert size >= rows
        assert not any(rows <= smaller < size for smaller in buckets)


def test_more_rows_than_the_largest_size_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="4 rows at most, not 5"):
        bucket_for(5, (1, 2, 4))


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 1, 4), (1, 5, 4)])
def test_a_range_out_of_order_is_a_mistake(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="min <= opt <= max"):
        BatchRange(*sizes)
