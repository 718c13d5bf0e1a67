"""Steps of a model whose state lies in the graph's own pools (engines/backends/graphs/slot_state.py), bound once.

Everything that a step reads or writes is laid out beforehand: pools for the life of the backend, and for each size of
batch a lane with places for features, rows and results. A step fills the places and runs; the pools are bound as input
and output to the same memory, on the CPU or on a device.

Two rows of each pool belong to no slot. From the row of zeros reads whoever has no past: a slot that was reset, and the
filling of a batch that is smaller than its lane. Into the spare row the filling writes, and nobody reads it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime

from engines.backends.graphs.slot_state import READ_ROWS, WRITE_ROWS
from engines.model_warm_up import outputs_per_step
from engines.onnx_session import NUMPY_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from engines.contract import FloatArray, ModelContract

SPARE_ROWS = 2


class PooledModel(NamedTuple):
    """A loaded session over a rewritten graph: the names that it is spoken to by.

    `pools` are (input, output, shape of one row).
    """

    session: onnxruntime.InferenceSession
    features_input: str
    lengths_input: str
    rows_output: str
    pools: tuple[tuple[str, str, tuple[int, ...]], ...]


class Device(NamedTuple):
    """Where pools and lanes lie, as ONNX Runtime names it: `cpu` or `cuda`.

    `is_staged`: the device has memory of its own, to which each step's features are copied.
    """

    kind: str
    number: int
    is_staged: bool

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.number}"


HOST = Device("cpu", 0, is_staged=False)


class SlotPools:
    """The state of `max_slots` streams, and steps over it.

    Args:
        lane_sizes: sizes of batch that are run, rising; a smaller batch is filled up to the next one. Their last one is
            the largest batch.
        records_launches: each size of batch is recorded under its own number, which the provider must have been told.
    """

    def __init__(
        self,
        model: PooledModel,
        contract: ModelContract,
        *,
        max_slots: int,
        lane_sizes: Sequence[int],
        device: Device = HOST,
        records_launches: bool = False,
    ) -> None:
        self._model = model
        self.providers = tuple(model.session.get_providers())
        self._records_launches = records_launches
        self._contract = contract
        self._device = device
        self._lane_sizes = tuple(lane_sizes)
        self._zero_row, self._spare_row = max_slots, max_slots + 1
        self._read_row_of_slot = np.full(max_slots, self._zero_row, np.int64)
        types = {given.name: NUMPY_TYPES[given.type] for given in model.session.get_inputs()}
        types |= {given.name: NUMPY_TYPES[given.type] for given in model.session.get_outputs()}
        self._types = types
        self.state_bytes_total = 0
        self._pools = [self._pool(name, shape, max_slots) for name, _, shape in model.pools]
        self._host = self._places(self._lane_sizes[-1])
        self._lanes: dict[int, _Lane] = {}

    def reset(self, slot: int) -> None:
        """Forget the state of one slot."""
        self._read_row_of_slot[slot] = self._zero_row

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`; raises what ONNX Runtime raises."""
        batch = len(slots)
        lane = self._lane(self._lane_sizes[bisect_left(self._lane_sizes, batch)])
        write_rows = lane.host[WRITE_ROWS]
        write_rows[:batch] = slots
        write_rows[batch:] = self._spare_row
        read_rows = lane.host[READ_ROWS]
        read_rows[batch:] = self._zero_row
        taken = write_rows[:batch]
        np.take(self._read_row_of_slot, taken, out=read_rows[:batch])
        lane.host[self._model.features_input][:batch] = features.transpose(0, 2, 1)
        rows = lane.run(self._model.session, batch)
        self._read_row_of_slot[taken] = taken
        return rows

    def close(self) -> None:
        """Let go of all memory; closing twice does nothing."""
        self._lanes.clear()
        self._pools.clear()

    def _pool(self, name: str, row_shape: tuple[int, ...], max_slots: int) -> onnxruntime.OrtValue:
        zeros = np.zeros((max_slots + SPARE_ROWS, *row_shape), self._types[name])
        self.state_bytes_total += zeros.nbytes
        return _placed(zeros, self._device)

    def _lane(self, size: int) -> _Lane:
        lane = self._lanes.get(size)
        if lane is None:
            lane = self._lanes[size] = self._new_lane(size)
        return lane

    def _places(self, size: int) -> dict[str, npt.NDArray[Any]]:
        """Lay out what goes in and out of a step of `size` rows; a smaller one takes the first of them."""
        contract, model = self._contract, self._model
        shapes = {
            model.features_input: (size, contract.feature_dim, contract.window_frames),
            model.lengths_input: (size,),
            READ_ROWS: (size,),
            WRITE_ROWS: (size,),
            model.rows_output: (size, outputs_per_step(contract), contract.vocab_size + 1),
        }
        host: dict[str, npt.NDArray[Any]] = {name: np.zeros(shape, self._types[name]) for name, shape in shapes.items()}
        host[model.lengths_input][:] = contract.window_frames
        return host

    def _new_lane(self, size: int) -> _Lane:
        model = self._model
        host = {name: values[:size] for name, values in self._host.items()}
        lane = _Lane(model, host, self._device, recording=size if self._records_launches else None)
        for (pool_input, pool_output, _), pool in zip(model.pools, self._pools, strict=True):
            lane.binding.bind_ortvalue_input(pool_input, pool)
            lane.binding.bind_ortvalue_output(pool_output, pool)
        return lane


class _Lane:
    """The bound places of one size of batch. Where nothing is staged, the host's arrays are the places themselves."""

    def __init__(
        self, model: PooledModel, host: dict[str, npt.NDArray[Any]], device: Device, *, recording: int | None
    ) -> None:
        self.host = host
        self.binding = model.session.io_binding()
        self._device = device
        self._options = onnxruntime.RunOptions()
        if recording is not None:
            self._options.add_run_config_entry("gpu_graph_id", str(recording))
        self._result = host[model.rows_output]
        self._placed_result = _placed(self._result, device)
        self._lengths = _placed(host[model.lengths_input], device)
        names = (model.features_input, READ_ROWS, WRITE_ROWS)
        self._placed = {name: _placed(host[name], device) for name in names}
        self.binding.bind_ortvalue_input(model.lengths_input, self._lengths)
        for name, value in self._placed.items():
            self.binding.bind_ortvalue_input(name, value)
        self.binding.bind_ortvalue_output(model.rows_output, self._placed_result)

    def run(self, session: onnxruntime.InferenceSession, batch: int) -> FloatArray:
        """Run once over what the host's arrays hold; gives the first `batch` rows of the result, as a copy."""
        if not self._device.is_staged:
            session.run_with_iobinding(self.binding, self._options)
            return self._result[:batch].astype(np.float32)
        for name, value in self._placed.items():
            value.update_inplace(self.host[name])
        session.run_with_iobinding(self.binding, self._options)
        self.binding.synchronize_outputs()
        rows: FloatArray = self._placed_result.numpy()[:batch].astype(np.float32)
        return rows


def _placed(values: npt.NDArray[Any], device: Device) -> onnxruntime.OrtValue:
    """Put an array where the device reads it; where nothing is staged that is the array's own memory."""
    # ONNX Runtime itself shares the host's memory wherever the device is the CPU.
    source = values.copy() if device.is_staged else values
    return onnxruntime.OrtValue.ortvalue_from_numpy(source, device.kind, device.number)
