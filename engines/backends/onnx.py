"""A model on ONNX Runtime's CPU provider, over state slots laid out once.

These must stay true: a row's result does not depend on the other rows (engines/model_warm_up.py refuses models where it
does), and one session's state is touched only by its own slot's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engines.backends.step_times import measure_step_times
from engines.contract import BackendKind, MemoryFigures
from engines.errors import BackendFailed, ModelRejected
from engines.model_files import check_model, find_model_file
from engines.onnx_session import RUNTIME_ERRORS, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from engines.contract import BackendSettings, FloatArray, ModelContract, StepTime


def open_backend(path: Path | str, settings: BackendSettings) -> OnnxBackend:
    """Check a model and set it up on the CPU.

    Raises:
        ModelRejected: the model's files break the contract.
    """
    return OnnxBackend(check_model(path), find_model_file(path), settings)


class OnnxBackend:
    """Implements `engines.contract.Backend`; `path` is the file that `contract` was read from."""

    kind = BackendKind.onnx

    def __init__(self, contract: ModelContract, path: Path, settings: BackendSettings) -> None:
        self.contract = contract
        self.max_slots = max_slots = settings.max_slots
        self.max_batch = settings.largest_batch
        try:
            self._session = open_session(path, threads=settings.threads)
        except RUNTIME_ERRORS as error:
            raise ModelRejected(str(path), [f"ONNX Runtime cannot load it: {error}"]) from error
        self._input_names = [given.name for given in self._session.get_inputs()]
        self._output_names = [given.name for given in self._session.get_outputs()]
        # The second output, how many rows came out, is the same for every full window; nobody reads it.
        del self._output_names[1]
        self._caches: tuple[npt.NDArray[Any], ...] = (
            np.zeros((max_slots, *contract.cache_channel_shape), np.float32),
            np.zeros((max_slots, *contract.cache_time_shape), np.float32),
            np.zeros(max_slots, np.int64),
        )
        self._lengths = np.full(max_slots, contract.window_frames, np.int64)
        state_bytes = sum(cache.nbytes for cache in self._caches)
        self.memory = MemoryFigures(
            device="cpu",
            weights_bytes=path.stat().st_size,
            state_bytes_per_slot=state_bytes // max_slots,
            state_bytes_total=state_bytes,
        )

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""
        return measure_step_times(self)

    def close(self) -> None:
        """See `Backend.close`."""
        self._caches = ()

    def reset(self, slot: int) -> None:
        """Forget all state of one slot."""
        for cache in self._caches:
            cache[slot] = 0

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`."""
        rows = _rows(slots)
        signal = np.ascontiguousarray(features.transpose(0, 2, 1))
        inputs = (signal, self._lengths[: len(slots)], *(cache[rows] for cache in self._caches))
        try:
            log_probabilities, *next_caches = self._session.run(
                self._output_names, dict(zip(self._input_names, inputs, strict=True))
            )
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"ONNX Runtime failed in a step of {len(slots)} streams: {error}") from error
        for cache, next_cache in zip(self._caches, next_caches, strict=True):
            cache[rows] = next_cache
        result: FloatArray = log_probabilities
        return result


def _rows(slots: Sequence[int]) -> slice | npt.NDArray[np.intp]:
    """Index the slots; neighbours in order become a slice, which numpy reads without copying."""
    if list(slots) == list(range(slots[0], slots[0] + len(slots))):
        return slice(slots[0], slots[0] + len(slots))
    return np.asarray(slots, np.intp)
