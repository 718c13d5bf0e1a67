"""Rows are moved in the widest words that they are a multiple of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engines.backends.tensorrt.row_kernels import BLOCK_THREADS, KERNELS, SOURCE, blocks_per_row, kernel_for

pytestmark = pytest.mark.unit


@given(some.integers(1, 1 << 20), some.sampled_from(["gather", "scatter"]))
def test_the_words_of_a_row_are_the_row(quads: int, direction: str) -> None:
    name, words = kernel_for(direction, row_bytes=4 * quads)
    assert name in KERNELS
    assert int(name.split("_")[1]) * words == 4 * quads
    assert 1 <= blocks_per_row(words) <= -(-words // BLOCK_THREADS)


def test_a_row_of_odd_bytes_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        kernel_for("gather", row_bytes=6)


def test_every_kernel_is_in_the_source() -> None:
    assert all(f" {name}(" in SOURCE for name in KERNELS)
