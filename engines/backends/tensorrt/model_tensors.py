"""A streaming CTC model's inputs and outputs by position, with what one row of each weighs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from engines.errors import ModelRejected
from engines.model_warm_up import outputs_per_step
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import ModelContract

_FLOAT_BYTES, _INT64_BYTES = 4, 8
_POSITIONS = 5


class ModelTensor(NamedTuple):
    """`row_shape` is without the batch, which is the first axis. float32, or int64 where `is_integer`."""

    name: str
    row_shape: tuple[int, ...]
    is_integer: bool = False

    @property
    def row_bytes(self) -> int:
        return math.prod(self.row_shape) * (_INT64_BYTES if self.is_integer else _FLOAT_BYTES)

    def shape(self, batch: int) -> tuple[int, ...]:
        return (batch, *self.row_shape)


class StateTensor(NamedTuple):
    """One kind of state: the input that it is read from and the output that the next one comes out of."""

    before: ModelTensor
    after: ModelTensor


class ModelTensors(NamedTuple):
    features: ModelTensor
    lengths: ModelTensor
    log_probabilities: ModelTensor
    output_lengths: ModelTensor
    states: tuple[StateTensor, ...]

    @property
    def inputs(self) -> tuple[ModelTensor, ...]:
        return (self.features, self.lengths, *(state.before for state in self.states))

    @property
    def outputs(self) -> tuple[ModelTensor, ...]:
        return (self.log_probabilities, self.output_lengths, *(state.after for state in self.states))

    @property
    def state_bytes_per_slot(self) -> int:
        return sum(state.before.row_bytes for state in self.states)


def read_tensors(model_file: Path, contract: ModelContract) -> ModelTensors:
    """Read the names from the file that `contract` was read from; the sizes are the contract's.

    Raises:
        ModelRejected: the file is no ONNX model any more, or has other inputs and outputs.
    """
    model = onnx.Model()
    try:
        model.ParseFromString(model_file.read_bytes())
    except (DecodeError, OSError) as error:
        raise ModelRejected(str(model_file), [f"it cannot be read: {error}"]) from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given.name for given in model.graph.input if given.name not in weights]
    outputs = [given.name for given in model.graph.output]
    if len(inputs) != _POSITIONS or len(outputs) != _POSITIONS:
        raise ModelRejected(
            str(model_file),
            [f"it must have {_POSITIONS} inputs and {_POSITIONS} outputs, not {len(inputs)} and {len(outputs)}"],
        )
    rows: tuple[tuple[tuple[int, ...], bool], ...] = (
        (contract.cache_channel_shape, False),
        (contract.cache_time_shape, False),
        ((), True),
    )
    states = tuple(
        StateTensor(ModelTensor(before, shape, is_integer), ModelTensor(after, shape, is_integer))
        for (shape, is_integer), before, after in zip(rows, inputs[2:], outputs[2:], strict=True)
    )
    return ModelTensors(
        features=ModelTensor(inputs[0], (contract.feature_dim, contract.window_frames)),
        lengths=ModelTensor(inputs[1], (), is_integer=True),
        log_probabilities=ModelTensor(outputs[0], (outputs_per_step(contract), contract.vocab_size + 1)),
        output_lengths=ModelTensor(outputs[1], (), is_integer=True),
        states=states,
    )
