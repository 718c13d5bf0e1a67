"""Which batch sizes give a row the same bits whatever its place, its company and the size: only those are used.

Replay rests on it: a stream that is recognised again must come to the same words. TensorRT promises rows that do not
depend on their place only where the flag DISTRIBUTIVE_INDEPENDENCE reaches, and nothing across sizes, whose kernels may
sum in another order. So it is measured at every load, with two steps of made-up speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray


class Steps(Protocol):
    """What is measured: engines/backends/tensorrt/slot_batch.py."""

    buckets: tuple[int, ...]
    max_slots: int

    def reset(self, slot: int) -> None: ...

    def step(self, features: FloatArray, slots: Sequence[int], *, bucket: int | None = None) -> FloatArray: ...


def independent_buckets(steps: Steps, windows: FloatArray) -> tuple[int, ...]:
    """Give the sizes that agree bit for bit with the largest one whose rows do not depend on their place.

    A size of one row has only one place, so at least one size is left. All used slots are reset.

    Args:
        windows: (steps, streams, window_frames, feature_dim) float32; at least as many streams as the largest size, or
            as there are slots.

    Raises:
        BackendFailed: the runtime failed.
    """
    straight = range(windows.shape[1])
    results = {size: _results(steps, windows, straight, size) for size in steps.buckets}
    backwards = straight[::-1]
    placed_anywhere = [
        size for size in steps.buckets if np.array_equal(results[size], _results(steps, windows, backwards, size))
    ]
    if not placed_anywhere:
        return ()
    reference = results[placed_anywhere[-1]]
    return tuple(size for size in placed_anywhere if np.array_equal(results[size], reference))


def _results(steps: Steps, windows: FloatArray, order: Sequence[int], size: int) -> FloatArray:
    """Give (steps, streams, outputs, vocabulary), every step at this size, the streams taken in this order."""
    for slot in order:
        steps.reset(slot)
    found: list[FloatArray] = []
    for window in windows:
        rows: dict[int, FloatArray] = {}
        for first in range(0, len(order), size):
            group = order[first : first + size]
            rows.update(zip(group, steps.step(window[list(group)], group, bucket=size), strict=True))
        found.append(np.stack([rows[stream] for stream in sorted(rows)]))
    for slot in order:
        steps.reset(slot)
    return np.stack(found)
