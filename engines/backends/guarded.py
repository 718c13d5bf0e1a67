"""Holds what a backend gives against what it must give: garbage of a runtime never becomes words.

A stream whose rows are no numbers is lost alone: those that shared its batch go on.

One sum over each stream's rows finds every NaN and every infinity in them; for a batch of 32 that is some ten
microseconds beside a step of many thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.errors import BackendFailed, RowsFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import Backend, FloatArray, ModelContract, StepTime


def check_rows(rows: FloatArray, contract: ModelContract, slots: Sequence[int]) -> None:
    """Hold what a step of the streams in `slots` gave against its shape, and look for what is no number.

    Raises:
        BackendFailed: the shape is another one; none of these rows may be used.
        RowsFailed: something is not finite in the rows of some streams.
    """
    batch = len(slots)
    expected = batch, contract.shift_frames // contract.subsampling, contract.vocab_size + 1
    if rows.shape != expected:
        raise BackendFailed(f"a step must give log-probabilities of shape {expected}, not {rows.shape}")
    with np.errstate(all="ignore"):
        is_finite = np.isfinite(rows.sum(axis=(1, 2)))
    if not is_finite.all():
        lost = [slot for slot, is_good in zip(slots, is_finite.tolist(), strict=True) if not is_good]
        text = f"a step gave log-probabilities that are not finite for {len(lost)} of {batch} streams"
        raise RowsFailed(text, slots=lost, rows=rows)


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
        found: list[FloatArray] = []
        failures: list[RowsFailed] = []
        for at in range(0, len(slots), self.max_batch):
            part = slice(at, at + self.max_batch)
            try:
                found.append(self._checked_step(features[part], slots[part]))
            except RowsFailed as failure:
                failures.append(failure)
                found.append(failure.rows)
        rows = np.concatenate(found)
        if failures:
            lost = [slot for failure in failures for slot in failure.slots]
            raise RowsFailed(str(failures[0]), slots=lost, rows=rows) from failures[0]
        return rows

    def _checked_step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        rows = self._backend.step(features, slots)
        check_rows(rows, self.contract, slots)
        return rows
