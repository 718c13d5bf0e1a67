"""Steps over state that stays on the device: gather by slot, run, scatter by slot; one recorded graph per batch size.

Where the state lives, and why so:

  - The pools, one row for each slot, lie on the device for as long as the backend is open. A step moves the slot
    numbers, the features and the log-probabilities over the bus, and no state.
  - Two kernels (row_kernels.py) copy the rows of a step's slots into a batch that is laid out once, and back. The slot
    numbers are read from device memory, so a recorded graph serves any slots: only the numbers change between launches.
  - ScatterND inside the model was left alone: TensorRT has no in-place form of it, so each step would copy the whole
    pool. A memcpy per row would put the addresses into the graph, and cost six calls a row. TensorRT's in-place
    update of key-value caches knows nothing of convolution caches.
  - Reading one pool and writing another with the slots crossing over would save the copy back, and pay with twice the
    memory, and with slots that have to be moved when a batch leaves them out.

These must stay true: a row that fills a batch up has slot -1, reads zeros and is written nowhere; the slots of a step
are distinct, so no two rows write one slot; padded rows and stale buffers never reach a caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.backends.tensorrt.batches import bucket_for
from engines.backends.tensorrt.layout import lay_out
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from engines.backends.tensorrt.device import Device, Graph
    from engines.backends.tensorrt.execution import Execution, LoadedPlan
    from engines.backends.tensorrt.model_tensors import ModelTensors
    from engines.contract import FloatArray, ModelContract

    Int32Array = npt.NDArray[np.int32]

NO_SLOT = -1
_SLOT_BYTES = 4
_FEATURES, _SLOTS, _LENGTHS, _RESULTS = "features", "slots", "lengths", "log-probabilities"


class SlotBatch:
    """The state of `max_slots` streams on a device, and a plan that steps up to `buckets[-1]` of them at once."""

    def __init__(
        self,
        contract: ModelContract,
        tensors: ModelTensors,
        device: Device,
        plan: LoadedPlan,
        *,
        max_slots: int,
        buckets: Sequence[int],
        uses_graphs: bool = True,
    ) -> None:
        """Lay everything out, run each size once and record it.

        Raises:
            BackendFailed: the device or the runtime refused.
            ModelRejected: the plan does not take these sizes.
        """
        self.buckets = tuple(buckets)
        self.max_slots = max_slots
        self._contract = contract
        self._tensors = tensors
        self._device = device
        rows = self.buckets[-1]
        self._lay_out_host(rows)
        self._lay_out_device(rows)
        self._executions: dict[int, Execution] = {size: plan.execution(size, self._bindings) for size in self.buckets}
        self._graphs: dict[int, Graph] = {}
        for size in self.buckets:
            # TensorRT sets up at the first run after a change of shapes, which must not fall into a recording.
            self._work(size)
            self._device.synchronise()
            if uses_graphs:
                self._graphs[size] = self._device.record(lambda size=size: self._work(size))  # type: ignore[misc]

    @property
    def largest(self) -> int:
        return self.buckets[-1]

    def keep_only(self, buckets: Sequence[int]) -> None:
        """Forget the other sizes; `buckets` are among the ones there are."""
        self.buckets = tuple(size for size in self.buckets if size in buckets)
        for size in set(self._executions) - set(self.buckets):
            del self._executions[size]
            self._graphs.pop(size, None)

    def reset(self, slot: int) -> None:
        """Zero the state of a slot."""
        self._check_slots([slot])
        for state, pool in zip(self._tensors.states, self._pools, strict=True):
            self._device.zero(pool + slot * state.before.row_bytes, state.before.row_bytes)

    def step(self, features: FloatArray, slots: Sequence[int], *, bucket: int | None = None) -> FloatArray:
        """Advance `slots[i]` by `features[i]`; `bucket` runs it at a larger size than it needs.

        Args:
            features: (batch, window_frames, feature_dim) float32.

        Returns:
            (batch, outputs per step, vocab_size + 1) float32, the caller's own.

        Raises:
            BackendFailed: the runtime failed, or this is no step that it could take.
        """
        rows = len(slots)
        self._check_slots(slots)
        wanted = (rows, self._contract.window_frames, self._contract.feature_dim)
        if features.shape != wanted or not 1 <= rows <= self.largest:
            raise BackendFailed(f"a step of {rows} of at most {self.largest} rows reads {wanted}, not {features.shape}")
        size = bucket or bucket_for(rows, self.buckets)
        self._host_features[:rows] = features.transpose(0, 2, 1)
        self._host_features[rows:size] = 0
        self._host_slots[:rows] = slots
        self._host_slots[rows:size] = NO_SLOT
        graph = self._graphs.get(size)
        if graph is None:
            self._work(size)
        else:
            graph.launch()
        self._device.synchronise()
        return self._host_results[:rows].copy()

    def close(self) -> None:
        """Let go of the plan's executions; the device gives its memory back itself."""
        self._executions.clear()
        self._graphs.clear()

    def _work(self, size: int) -> None:
        """Ask for everything that a step of this size does. The same addresses each time, so it can be recorded."""
        device, at = self._device, self._device_at
        device.upload(at[_FEATURES], self._host_at[_FEATURES], size * self._tensors.features.row_bytes)
        device.upload(at[_SLOTS], self._host_at[_SLOTS], size * _SLOT_BYTES)
        for state, pool in zip(self._tensors.states, self._pools, strict=True):
            batch = self._bindings[state.before.name]
            device.gather(batch, pool, at[_SLOTS], rows=size, row_bytes=state.before.row_bytes)
        self._executions[size].enqueue()
        for state, pool in zip(self._tensors.states, self._pools, strict=True):
            batch = self._bindings[state.after.name]
            device.scatter(pool, batch, at[_SLOTS], rows=size, row_bytes=state.after.row_bytes)
        device.download(self._host_at[_RESULTS], at[_RESULTS], size * self._tensors.log_probabilities.row_bytes)

    def _lay_out_host(self, rows: int) -> None:
        tensors = self._tensors
        layout = lay_out(
            {
                _FEATURES: rows * tensors.features.row_bytes,
                _SLOTS: rows * _SLOT_BYTES,
                _LENGTHS: rows * tensors.lengths.row_bytes,
                _RESULTS: rows * tensors.log_probabilities.row_bytes,
            }
        )
        block = self._device.allocate_host(layout.size_bytes)
        self._host_at = layout.addresses(block.address)
        places = layout.offsets
        self._host_features: FloatArray = np.ndarray(
            tensors.features.shape(rows), np.float32, block.content.data, places[_FEATURES]
        )
        self._host_slots: Int32Array = np.ndarray((rows,), np.int32, block.content.data, places[_SLOTS])
        self._host_slots[:] = NO_SLOT
        self._host_results: FloatArray = np.ndarray(
            tensors.log_probabilities.shape(rows), np.float32, block.content.data, places[_RESULTS]
        )
        lengths = np.ndarray((rows,), np.int64, block.content.data, places[_LENGTHS])
        lengths[:] = self._contract.window_frames

    def _lay_out_device(self, rows: int) -> None:
        tensors = self._tensors
        batch = lay_out(
            {
                _FEATURES: rows * tensors.features.row_bytes,
                _LENGTHS: rows * tensors.lengths.row_bytes,
                _SLOTS: rows * _SLOT_BYTES,
                _RESULTS: rows * tensors.log_probabilities.row_bytes,
                "output lengths": rows * tensors.output_lengths.row_bytes,
                **{f"before {place}": rows * state.before.row_bytes for place, state in enumerate(tensors.states)},
                **{f"after {place}": rows * state.after.row_bytes for place, state in enumerate(tensors.states)},
            }
        )
        at = self._device_at = batch.addresses(self._device.allocate(batch.size_bytes))
        self._bindings = {
            tensors.features.name: at[_FEATURES],
            tensors.lengths.name: at[_LENGTHS],
            tensors.log_probabilities.name: at[_RESULTS],
            tensors.output_lengths.name: at["output lengths"],
            **{state.before.name: at[f"before {place}"] for place, state in enumerate(tensors.states)},
            **{state.after.name: at[f"after {place}"] for place, state in enumerate(tensors.states)},
        }
        pools = lay_out(
            {f"{place}": self.max_slots * state.before.row_bytes for place, state in enumerate(tensors.states)}
        )
        self._pools = tuple(pools.addresses(self._device.allocate(pools.size_bytes)).values())
        self._device.upload(at[_LENGTHS], self._host_at[_LENGTHS], rows * tensors.lengths.row_bytes)

    def _check_slots(self, slots: Sequence[int]) -> None:
        if len(set(slots)) != len(slots) or not all(0 <= slot < self.max_slots for slot in slots):
            raise BackendFailed(f"the slots of a step must be distinct and below {self.max_slots}, not {list(slots)}")
