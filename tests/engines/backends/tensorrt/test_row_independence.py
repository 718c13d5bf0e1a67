"""A batch size whose rows come out otherwise is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.tensorrt.row_independence import independent_buckets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

WINDOWS = np.random.default_rng(0).standard_normal((2, 4, 3, 2), dtype=np.float32)


class Steps:
    max_slots = 4

    def __init__(self, buckets: tuple[int, ...], *, by_size: Sequence[int] = (), by_place: Sequence[int] = ()) -> None:
        self.buckets = buckets
        self.by_size = by_size
        self.by_place = by_place

    def reset(self, slot: int) -> None: ...

    def step(self, features: FloatArray, slots: Sequence[int], *, bucket: int | None = None) -> FloatArray:
        rows = features.copy()
        if bucket in self.by_size:
            rows += 1e-3
        if bucket in self.by_place:
            rows += np.arange(len(slots), dtype=np.float32)[:, None, None]
        return rows


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (Steps((1, 2, 4)), (1, 2, 4)),
        (Steps((1, 2, 4), by_size=[1]), (2, 4)),
        (Steps((1, 2, 4), by_size=[4]), (4,)),
        (Steps((1, 2, 4), by_place=[4]), (1, 2)),
        (Steps((1, 2, 4), by_place=[2, 4]), (1,)),
        (Steps((2, 4), by_place=[2, 4]), ()),
    ],
)
def test_only_sizes_that_agree_bit_for_bit_are_kept(steps: Steps, expected: tuple[int, ...]) -> None:
    assert independent_buckets(steps, WINDOWS) == expected
