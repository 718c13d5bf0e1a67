"""Which layers of a model compute in fp16, and the graph rewritten so that they do.

TensorRT follows the types in the graph (api.py says why), so a layer becomes fp16 by casts around it: its inputs to
fp16, its result back to fp32. Weights are converted beforehand. The rule is a list of what may, not of what may not:

  - Products that carry nearly all of a model's arithmetic may: MatMul, Gemm, Conv, ConvTranspose. Their fp16 kernels
    sum in fp32 on tensor cores, and only inputs and results are rounded.
  - Everything else stays fp32: LayerNormalization, Softmax, LogSoftmax, reductions, powers, divisions, and all plain
    arithmetic between them, where sums of many terms or quotients of small ones would lose what the words hang on.
  - So does the last product before the log-probabilities: its rounding goes into the result without anything after it
    that could even it out.
  - So does a product whose weights do not fit: fp16 ends at 65,504.

`Level.half_weights` also leaves the products of two computed tensors (attention scores) in fp32: it is the next thing
to try when `Level.half` gives other words.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from engines.errors import ModelRejected
from engines.proto import onnx_graph_pb2 as onnx

HALF_TYPES = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
_PASSED_ON_THE_WAY_TO_THE_RESULT = frozenset(
    {"LogSoftmax", "Add", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity"}
)
_FLOAT, _FLOAT16 = 1, 10
_OTHER_FLOATS = frozenset({10, 11, 16})
"""FLOAT16, DOUBLE, BFLOAT16."""
_INT_ATTRIBUTE = 2


class Precision(StrEnum):
    """What is asked for."""

    fp32 = "fp32"
    """As the model file says, TF32 off."""
    fp16 = "fp16"
    """Products in fp16 as far as the words stay the same."""


class Level(StrEnum):
    """How much of a model is in fp16."""

    half = "half"
    half_weights = "half_weights"
    full = "full"


LADDER: dict[Precision, tuple[Level, ...]] = {
    Precision.fp32: (Level.full,),
    Precision.fp16: (Level.half, Level.half_weights, Level.full),
}
"""What is tried, in this order, until the words are those of the reference."""


class Halved(NamedTuple):
    """`half_layers` and `full_layers` name the products, by their first output, that are and are not in fp16."""

    content: bytes
    half_layers: tuple[str, ...]
    full_layers: tuple[str, ...]


def with_half_layers(content: bytes, level: Level, *, path: str) -> Halved:
    """Give the ONNX model with the layers of this level in fp16; inputs and outputs keep their types.

    Raises:
        ModelRejected: no ONNX model, or one that holds other floats than float32 and so is not to be rewritten.
    """
    model = onnx.Model()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelRejected(path, [f"it is not an ONNX file: {error}"]) from error
    products = [node for node in model.graph.node if node.op_type in HALF_TYPES]
    if level is Level.full:
        return Halved(content, (), tuple(node.output[0] for node in products))
    if any(tensor.data_type in _OTHER_FLOATS for tensor in model.graph.initializer):
        raise ModelRejected(path, ["it holds weights of fp16 or another float already: build it with fp32, as it is"])
    halves = half_layers(model.graph, level)
    _Rewriting(model.graph).run(halves)
    return Halved(
        model.SerializeToString(),
        tuple(node.output[0] for node in products if node.output[0] in halves),
        tuple(node.output[0] for node in products if node.output[0] not in halves),
    )


def half_layers(graph: onnx.Graph, level: Level) -> frozenset[str]:
    """Choose the layers for fp16, by their first output's name: the rule of this file's first lines."""
    if level is Level.full:
        return frozenset()
    weights = {tensor.name: tensor for tensor in graph.initializer}
    last = _last_products(graph)
    return frozenset(
        node.output[0]
        for node in graph.node
        if node.op_type in HALF_TYPES
        and node.output[0] not in last
        and all(_fits_half(weights[name]) for name in node.input if name in weights)
        and (level is Level.half or any(name in weights for name in node.input))
    )


def _last_products(graph: onnx.Graph) -> set[str]:
    """Follow the first output upwards, through what only adds or rearranges, to the products it comes from."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting, seen, found = [graph.output[0].name] if graph.output else [], set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in HALF_TYPES:
            found.add(node.output[0])
        elif node.op_type in _PASSED_ON_THE_WAY_TO_THE_RESULT:
            waiting.extend(node.input)
    return found


def _fits_half(tensor: onnx.Tensor) -> bool:
    """Weights that are not in the file itself are not looked at: they are cast when the engine is built."""
    if tensor.data_type != _FLOAT or not tensor.raw_data:
        return tensor.data_type == _FLOAT
    values = np.frombuffer(tensor.raw_data, "<f4")
    return bool(np.isfinite(values).all() and np.abs(values).max(initial=0.0) <= np.finfo(np.float16).max)


class _Rewriting:
    """Puts casts around layers. A tensor is cast once, before the first node that wants it in fp16."""

    def __init__(self, graph: onnx.Graph) -> None:
        self._graph = graph
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._halved: dict[str, str] = {}
        self._nodes: list[onnx.Node] = []

    def run(self, halves: frozenset[str]) -> None:
        for node in list(self._graph.node):
            if node.op_type not in HALF_TYPES or node.output[0] not in halves:
                self._nodes.append(node)
                continue
            changed = onnx.Node()
            changed.CopyFrom(node)
            del changed.input[:], changed.output[:]
            changed.input.extend(self._as_half(name) if name else "" for name in node.input)
            changed.output.append(_half_name(node.output[0]))
            self._nodes.append(changed)
            self._nodes.append(_cast(_half_name(node.output[0]), node.output[0], _FLOAT))
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        self._drop_unused_weights()

    def _as_half(self, name: str) -> str:
        if name in self._halved:
            return self._halved[name]
        half_name = self._halved[name] = f"{name}::as_fp16"
        weights = self._weights.get(name)
        if weights is not None and weights.raw_data:
            values = np.frombuffer(weights.raw_data, "<f4").astype("<f2")
            self._graph.initializer.add(
                dims=weights.dims, data_type=_FLOAT16, name=half_name, raw_data=values.tobytes()
            )
        else:
            self._nodes.append(_cast(name, half_name, _FLOAT16))
        return half_name

    def _drop_unused_weights(self) -> None:
        """Weights that only halved layers read would lie in the file twice. A graph inside a node may read any."""
        if any(attribute.HasField("g") for node in self._graph.node for attribute in node.attribute):
            return
        read = {name for node in self._graph.node for name in node.input}
        read.update(output.name for output in self._graph.output)
        kept = [tensor for tensor in self._graph.initializer if tensor.name in read]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)


def _half_name(output: str) -> str:
    return f"{output}::fp16"


def _cast(source: str, result: str, data_type: int) -> onnx.Node:
    to = onnx.Attribute(name="to", i=data_type, type=onnx.Attribute.INT)
    return onnx.Node(input=[source], output=[result], op_type="Cast", attribute=[to])
