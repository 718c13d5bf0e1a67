"""A model on TensorRT: implements `engines.contract.Backend` over device-resident slots.

An engine file is taken from the cache folder, or built at load, which takes as long as TensorRT needs. Only batch sizes
whose rows came out the same bit for bit are used; where the largest do not agree, `max_batch` is below what was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.backends.step_times import measure_step_times, speech_like
from engines.backends.tensorrt.batches import bucket_sizes
from engines.backends.tensorrt.making import Model, found_or_made
from engines.backends.tensorrt.model_tensors import read_tensors
from engines.backends.tensorrt.row_independence import independent_buckets
from engines.backends.tensorrt.slot_batch import SlotBatch
from engines.backends.tensorrt.toolchain import TensorRtToolchain
from engines.contract import BackendKind, MemoryFigures
from engines.errors import BackendFailed, ModelRejected
from engines.model_files import check_model, find_model_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.backends.tensorrt.toolchain import Toolchain
    from engines.contract import BackendSettings, FloatArray, StepTime

_PROBE_STEPS = 2


def open_backend(path: Path | str, settings: BackendSettings) -> TensorRtBackend:
    """Check a model, find or build its engine file, and load it on the GPU that the settings name.

    Raises:
        ModelRejected: the model breaks the contract, TensorRT does not take it, or the GPU refused.
        RuntimeMissing: a library, the driver or the GPU is missing.
    """
    model = Model(check_model(path), find_model_file(path))
    try:
        return TensorRtBackend(TensorRtToolchain(settings.device_index), model, settings)
    except BackendFailed as failed:
        raise ModelRejected(str(path), [f"the GPU cannot take it: {failed}"]) from failed


class TensorRtBackend:
    """Implements `engines.contract.Backend`."""

    kind = BackendKind.tensorrt

    def __init__(
        self, toolchain: Toolchain, model: Model, settings: BackendSettings, *, uses_graphs: bool = True
    ) -> None:
        """Load an engine; recorded graphs can be left out to compare.

        Raises:
            ModelRejected: TensorRT does not take the model or the engine.
            BackendFailed: the device failed.
        """
        self.contract = model.contract
        self.max_slots = settings.max_slots
        folder = Path(settings.cache_folder) if settings.cache_folder else None
        engine = found_or_made(toolchain, model, max_batch=settings.largest_batch, folder=folder)
        self.engine_path = engine.path
        tensors = read_tensors(model.file, model.contract)
        self._device = device = toolchain.open_device()
        self._is_closed = False
        try:
            self._plan = plan = toolchain.load(device, engine.plan, tensors, path=str(engine.path))
            self._batch = SlotBatch(
                model.contract,
                tensors,
                device,
                plan,
                max_slots=settings.max_slots,
                buckets=bucket_sizes(engine.key.batches, max_batch=settings.largest_batch),
                uses_graphs=uses_graphs,
            )
            self._keep_exact_sizes()
        except Exception:
            device.close()
            raise
        self.max_batch = self._batch.largest
        self.memory = MemoryFigures(
            device=f"cuda:{device.index}",
            weights_bytes=plan.weights_bytes,
            state_bytes_per_slot=tensors.state_bytes_per_slot,
            state_bytes_total=tensors.state_bytes_per_slot * settings.max_slots,
        )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes that steps run at; a step of other rows is filled up to the next one."""
        return self._batch.buckets

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""
        return measure_step_times(self)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        self._device.make_current()
        self._batch.close()
        self._plan.close()
        self._device.close()

    def reset(self, slot: int) -> None:
        """See `Backend.reset`."""
        self._enter()
        self._batch.reset(slot)

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`."""
        self._enter()
        return self._batch.step(features, slots)

    def _enter(self) -> None:
        # A step over memory that was given back would end the process, not fail.
        if self._is_closed:
            raise BackendFailed("the backend was closed")
        # Bound for each call: engines load in one thread and step in another.
        self._device.make_current()

    def _keep_exact_sizes(self) -> None:
        streams = min(self._batch.largest, self.max_slots)
        windows = [speech_like(self.contract, rows=streams, seed=seed) for seed in range(_PROBE_STEPS)]
        self._batch.keep_only(independent_buckets(self._batch, np.stack(windows)))
        if not self._batch.buckets:
            raise ModelRejected(
                str(self.engine_path), ["a row depends on its place in every batch size: a replay would not be exact"]
            )
