"""Which batches an engine takes, and which padded size a step of some rows runs at. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engines.backends.step_times import batch_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence


class BatchRange(msgspec.Struct, frozen=True, order=True):
    """The batches of an optimisation profile: from `least` to `most`; tactics are timed at `best`.

    Raises:
        ValueError: they are not in order, or `least` is below 1.
    """

    least: int
    best: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.best <= self.most:
            raise ValueError(f"batches must be 1 <= min <= opt <= max, not {self}")

    def __str__(self) -> str:
        return f"{self.least}/{self.best}/{self.most}"


def bucket_sizes(batches: BatchRange, *, max_batch: int) -> tuple[int, ...]:
    """Give the sizes that get a context and a graph of their own: powers of two and the largest, within the range."""
    largest = min(max_batch, batches.most)
    return tuple(sorted({max(size, batches.least) for size in batch_sizes(largest)}))


def bucket_for(rows: int, buckets: Sequence[int]) -> int:
    """Give the smallest size that holds `rows`.

    Raises:
        ValueError: none does.
    """
    for size in buckets:
        if size >= rows:
            return size
    raise ValueError(f"a step may have {max(buckets)} rows at most, not {rows}")
