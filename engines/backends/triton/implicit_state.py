"""Rewrites a model so that Triton itself can keep its state: one input, one output, and three states. PURE.

Triton's ONNX Runtime backend hands a model the state of each sequence as further inputs and takes further outputs back
("implicit state"). Each must have an axis besides the batch, which the length of the channel cache, (B,), has not, and
the number of frames, (B,), would have to be sent with every request. So here the length becomes (B, 1), the number of
frames a constant, and the number of outputs, which nobody reads, is left out.

Source: github.com/triton-inference-server/server, docs/user_guide/architecture.md, "Implicit State Management".
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.proto import onnx_graph_pb2 as onnx

_COLUMN = "patchbay_cache_length_column"
_NEXT_COLUMN = "patchbay_next_cache_length_column"
_FLAT_SHAPE, _COLUMN_SHAPE = "patchbay_flat_shape", "patchbay_column_shape"
_NONE, _NO_FRAMES, _WINDOW = "patchbay_none", "patchbay_no_frames", "patchbay_window"


@dataclass(frozen=True, slots=True)
class StatefulModel:
    """The file's bytes, and the names of its inputs and outputs. Each state is an input, an output and its shape
    without the batch; the last is int64, the others are float.
    """

    content: bytes
    features_input: str
    log_probabilities_output: str
    states: tuple[tuple[str, str, tuple[int, ...]], ...]


def with_implicit_state(
    content: bytes,
    *,
    window_frames: int,
    cache_channel_shape: tuple[int, ...],
    cache_time_shape: tuple[int, ...],
) -> StatefulModel:
    """Rewrite the bytes of a checked model; weights in files beside it stay there."""
    model = onnx.Model.FromString(content)
    graph = model.graph
    initial = {tensor.name for tensor in graph.initializer}
    features, length, channel, time, cache_length = [given for given in graph.input if given.name not in initial]
    log_probabilities, _, next_channel, next_time, next_cache_length = graph.output
    constants = ((_FLAT_SHAPE, [-1]), (_COLUMN_SHAPE, [-1, 1]), (_NONE, [0]), (_WINDOW, [window_frames]))
    for name, values in constants:
        graph.initializer.append(
            onnx.Tensor(name=name, dims=[len(values)], data_type=onnx.Tensor.INT64, int64_data=values)
        )
    before = [
        onnx.Node(op_type="Reshape", input=[_COLUMN, _FLAT_SHAPE], output=[cache_length.name]),
        onnx.Node(op_type="Mul", input=[cache_length.name, _NONE], output=[_NO_FRAMES]),
        onnx.Node(op_type="Add", input=[_NO_FRAMES, _WINDOW], output=[length.name]),
    ]
    after = onnx.Node(op_type="Reshape", input=[next_cache_length.name, _COLUMN_SHAPE], output=[_NEXT_COLUMN])
    nodes = [*before, *graph.node, after]
    del graph.node[:]
    graph.node.extend(nodes)
    inputs = [features, channel, time, _column(_COLUMN, cache_length)]
    outputs = [log_probabilities, next_channel, next_time, _column(_NEXT_COLUMN, next_cache_length)]
    kept = [given for given in graph.input if given.name in initial]
    states = (
        (channel.name, next_channel.name, cache_channel_shape),
        (time.name, next_time.name, cache_time_shape),
        (_COLUMN, _NEXT_COLUMN, (1,)),
    )
    names = features.name, log_probabilities.name
    inputs, outputs = [_copy(given) for given in (*inputs, *kept)], [_copy(given) for given in outputs]
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return StatefulModel(model.SerializeToString(deterministic=True), *names, states)


def _copy(given: onnx.ValueInfo) -> onnx.ValueInfo:
    copied = onnx.ValueInfo()
    copied.CopyFrom(given)
    return copied


def _column(name: str, flat: onnx.ValueInfo) -> onnx.ValueInfo:
    """Describe a tensor as (B, 1) that was (B,)."""
    column = _copy(flat)
    column.name = name
    column.type.tensor_type.shape.dim.append(onnx.Dimension(dim_value=1))
    return column
