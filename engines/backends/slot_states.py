"""State of many streams, laid out once: one pool for each tensor, the slots along whichever axis its batch has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from engines.contract import StateShape

    Tensor = npt.NDArray[Any]


class SlotStates:
    """The tensors that a model hands from step to step, of `max_slots` streams; all begin as zeros."""

    def __init__(self, shapes: Sequence[StateShape], *, max_slots: int) -> None:
        self._axes = [state.batch_axis for state in shapes]
        self._pools: list[Tensor] = [
            np.zeros(
                (*state.shape[: state.batch_axis], max_slots, *state.shape[state.batch_axis :]),
                np.int64 if state.is_integer else np.float32,
            )
            for state in shapes
        ]

    @property
    def bytes_total(self) -> int:
        return sum(pool.nbytes for pool in self._pools)

    def reset(self, slot: int) -> None:
        """Forget the state of one slot."""
        for pool, axis in zip(self._pools, self._axes, strict=True):
            pool[_at(slot, axis)] = 0

    def gather(self, slots: Sequence[int]) -> list[Tensor]:
        """Give each tensor for a batch of these slots, in order; contiguous, as a runtime wants it."""
        rows = np.asarray(slots, np.intp)
        return [pool.take(rows, axis=axis) for pool, axis in zip(self._pools, self._axes, strict=True)]

    def scatter(self, slots: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Put back what a step gave for a batch of these slots."""
        rows = _rows(slots)
        for pool, tensor, axis in zip(self._pools, tensors, self._axes, strict=True):
            pool[_at(rows, axis)] = tensor

    def close(self) -> None:
        """Give the memory back; closing twice does nothing."""
        self._pools.clear()


def _at(rows: int | slice | npt.NDArray[np.intp], axis: int) -> tuple[Any, ...]:
    """Index `rows` of an axis."""
    return (*[slice(None)] * axis, rows)


def _rows(slots: Sequence[int]) -> slice | npt.NDArray[np.intp]:
    """Index the slots; neighbours in order become a slice, into which numpy copies in half the time."""
    first = slots[0]
    if list(slots) == list(range(first, first + len(slots))):
        return slice(first, first + len(slots))
    return np.asarray(slots, np.intp)
