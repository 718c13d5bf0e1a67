"""Holds what a backend gives against what it must give: garbage of a runtime never becomes words.

One sum over each stream's rows finds every NaN and every infinity in them; for a batch of 32 that is some ten
microseconds beside a step of many thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import Backend, FloatArray, ModelContract, StepTime


def check_rows(rows: FloatArray, contract: ModelContract, *, batch: int) -> None:
    """Hold what a step of `batch` streams gave against its shape, and look for what is no number.

    Raises:
        BackendFailed: the shape is another one, or something is not finite; none of these rows may be used.
    """
    expected = batch, contract.shift_frames // contract.subsampling, contract.vocab_size + 1
    if rows.shape != expected:
        raise BackendFailed(f"a step must give log-probabilities of shape {expected}, not {rows.shape}")
    with np.errstate(all="ignore"):
        lost = batch - int(np.isfinite(rows.sum(axis=(1, 2))).sum())
    if lost:
        raise BackendFailed(f"a step gave log-probabilities that are not finite for {lost} of {batch} streams")


class GuardedBackend:
    """A `Backend` whose rows are checked; everything else is the inner one's."""

    def __init__(self, backend: Backend) -> None:
        self.contract = backend.contract
        self.kind = backend.kind
        self.max_slots = backend.max_slots
        self.max_batch = backend.max_batch
        self.memory = backend.memory
        self._backend = backend

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""
        return self._backend.warm_up()

    def close(self) -> None:
        """See `Backend.close`."""
        self._backend.close()

    def reset(self, slot: int) -> None:
        """See `Backend.reset`."""
        self._backend.reset(slot)

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`; a result that is misshapen or not finite is a failure of the runtime too.

        A batch may be larger than `max_batch`, which a device can make smaller than was asked for: it goes in parts.
        """
        if len(slots) <= self.max_batch:
            return self._checked_step(features, slots)
        parts = range(0, len(slots), self.max_batch)
        return np.concatenate(
            [self._checked_step(features[at : at + self.max_batch], slots[at : at + self.max_batch]) for at in parts]
        )

    def _checked_step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        rows = self._backend.step(features, slots)
        check_rows(rows, self.contract, batch=len(slots))
        return rows
