"""Rewrites a model so that Triton itself can keep its state: one input, one output, and three states. PURE.

Triton's ONNX Runtime backend hands a model the state of each sequence as further inputs and takes further outputs back
("implicit state"). Each must have an axis besides the batch, which the length of the channel cache, (B,), has not, and
the number of frames, (B,), would have to be sent with every request. So here the length becomes (B, 1), the number of
frames a constant, and the number of outputs, which nobody reads, is left out.

Source: github.com/triton-inference-server/server, docs/user_guide/architecture.md, "Implicit State Management".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engines.backends.triton.entry_config import EntryTensors, StateTensor
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from engines.contract import ModelContract

_Message = TypeVar("_Message", onnx.ValueInfo, onnx.Node)

_COLUMN = "patchbay_cache_length_column"
_NEXT_COLUMN = "patchbay_next_cache_length_column"
_FLAT_SHAPE, _COLUMN_SHAPE = "patchbay_flat_shape", "patchbay_column_shape"
_NONE, _NO_FRAMES, _WINDOW = "patchbay_none", "patchbay_no_frames", "patchbay_window"
_TYPES = {onnx.Tensor.FLOAT: "TYPE_FP32", onnx.Tensor.FLOAT16: "TYPE_FP16", onnx.Tensor.INT64: "TYPE_INT64"}


class NotFloat(ValueError):
    """The model takes features or gives log-probabilities in something other than float32."""


@dataclass(frozen=True, slots=True)
class StatefulModel:
    """The rewritten file and what it takes and gives."""

    content: bytes
    tensors: EntryTensors


def with_implicit_state(content: bytes, contract: ModelContract) -> StatefulModel:
    """Rewrite the bytes of a checked model; weights in files beside it stay there.

    Raises:
        NotFloat: what is sent and answered must be float32; the state may be float16.
    """
    model = onnx.Model.FromString(content)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    features, length, channel, time, cache_length = [given for given in graph.input if given.name not in constants]
    log_probabilities, _, next_channel, next_time, next_cache_length = graph.output
    if any(_type_of(outer) != onnx.Tensor.FLOAT for outer in (features, log_probabilities)):
        raise NotFloat("its features and log-probabilities must be float32")
    tensors = EntryTensors(
        features.name,
        log_probabilities.name,
        (
            _state(channel, next_channel, contract.cache_channel_shape),
            _state(time, next_time, contract.cache_time_shape),
            StateTensor(_COLUMN, _NEXT_COLUMN, "TYPE_INT64", (1,)),
        ),
    )
    inputs = [features, channel, time, _column(_COLUMN, cache_length)]
    inputs += [given for given in graph.input if given.name in constants]
    outputs = [log_probabilities, next_channel, next_time, _column(_NEXT_COLUMN, next_cache_length)]
    nodes = [
        onnx.Node(op_type="Reshape", input=[_COLUMN, _FLAT_SHAPE], output=[cache_length.name]),
        onnx.Node(op_type="Mul", input=[cache_length.name, _NONE], output=[_NO_FRAMES]),
        onnx.Node(op_type="Add", input=[_NO_FRAMES, _WINDOW], output=[length.name]),
        *graph.node,
        onnx.Node(op_type="Reshape", input=[next_cache_length.name, _COLUMN_SHAPE], output=[_NEXT_COLUMN]),
    ]
    # Copied first: what a message holds is gone once the field is emptied.
    inputs, outputs, nodes = _copies(inputs), _copies(outputs), _copies(nodes)
    for field in ("input", "output", "node"):
        graph.ClearField(field)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    graph.node.extend(nodes)
    for name, values in (
        (_FLAT_SHAPE, [-1]),
        (_COLUMN_SHAPE, [-1, 1]),
        (_NONE, [0]),
        (_WINDOW, [contract.window_frames]),
    ):
        graph.initializer.add(name=name, dims=[len(values)], data_type=onnx.Tensor.INT64, int64_data=values)
    return StatefulModel(model.SerializeToString(deterministic=True), tensors)


def _state(given: onnx.ValueInfo, next_given: onnx.ValueInfo, shape: tuple[int, ...]) -> StateTensor:
    return StateTensor(given.name, next_given.name, _TYPES[_type_of(given)], shape)


def _type_of(given: onnx.ValueInfo) -> onnx.Tensor.DataType:
    return given.type.tensor_type.elem_type


def _copies(messages: list[_Message]) -> list[_Message]:
    return [type(message).FromString(message.SerializeToString()) for message in messages]


def _column(name: str, flat: onnx.ValueInfo) -> onnx.ValueInfo:
    """Describe a tensor as (B, 1) that was (B,)."""
    column = onnx.ValueInfo()
    column.CopyFrom(flat)
    column.name = name
    column.type.tensor_type.shape.dim.append(onnx.Dimension(dim_value=1))
    return column
