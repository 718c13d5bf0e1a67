"""Steps of a model on the CPU with its graph as it is: state is gathered by slot before a run and put back after it.

For the models that engines/backends/graphs/slot_state.py cannot rewrite, and what the rewritten ones are held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engines.onnx_session import NUMPY_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import onnxruntime

    from engines.contract import FloatArray, ModelContract


class PlainSlots:
    """The state of `max_slots` streams in arrays of the host."""

    def __init__(self, session: onnxruntime.InferenceSession, contract: ModelContract, *, max_slots: int) -> None:
        self._session = session
        self.providers = tuple(session.get_providers())
        inputs = session.get_inputs()
        self._input_names = [given.name for given in inputs]
        self._output_names = [given.name for given in session.get_outputs()]
        # The second output, how many rows came out, is the same for every full window; nobody reads it.
        del self._output_names[1]
        types = [NUMPY_TYPES[given.type] for given in inputs]
        self._features_type = types[0]
        shapes = contract.cache_channel_shape, contract.cache_time_shape, ()
        self._states: tuple[npt.NDArray[Any], ...] = tuple(
            np.zeros((max_slots, *shape), dtype) for shape, dtype in zip(shapes, types[2:], strict=True)
        )
        self.state_bytes_total = sum(state.nbytes for state in self._states)
        self._lengths = np.full(max_slots, contract.window_frames, np.int64)

    def reset(self, slot: int) -> None:
        """Forget the state of one slot."""
        for state in self._states:
            state[slot] = 0

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`; raises what ONNX Runtime raises."""
        rows = _rows(slots)
        signal = np.ascontiguousarray(features.transpose(0, 2, 1), self._features_type)
        inputs = (signal, self._lengths[: len(slots)], *(state[rows] for state in self._states))
        log_probabilities, *next_states = self._session.run(
            self._output_names, dict(zip(self._input_names, inputs, strict=True))
        )
        for state, next_state in zip(self._states, next_states, strict=True):
            state[rows] = next_state
        result: FloatArray = log_probabilities.astype(np.float32, copy=False)
        return result

    def close(self) -> None:
        """Let go of all state."""
        self._states = ()


def _rows(slots: Sequence[int]) -> slice | npt.NDArray[np.intp]:
    """Index the slots; neighbours in order become a slice, which numpy reads without copying."""
    if list(slots) == list(range(slots[0], slots[0] + len(slots))):
        return slice(slots[0], slots[0] + len(slots))
    return np.asarray(slots, np.intp)
