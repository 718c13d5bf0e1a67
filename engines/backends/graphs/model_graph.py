"""Reads an ONNX graph for rewriting: which values are constant, who uses what, what follows from what."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LEAST_OPSET = 13
"""From here on Unsqueeze and Squeeze take their axes as an input, and ScatterND exists."""

_INT64_BYTES = 8


class GraphUnfit(ValueError):
    """The graph cannot be rewritten; it may still be run as it is."""


class ModelGraph:
    """A model and an index over it. The index describes the graph as it was read: rewrite once, then read anew."""

    def __init__(self, model: onnx.Model) -> None:
        self.model = model
        self.graph = model.graph
        self.input_names = {value.name for value in self.graph.input}
        self.initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.users: dict[str, list[onnx.Node]] = {}
        for node in self.graph.node:
            for name in {*node.input, *_captured(node)}:
                self.users.setdefault(name, []).append(node)

    def integers(self, name: str) -> list[int] | None:
        """Give the values of a constant of int64, or None for anything else."""
        tensor = self.initializers.get(name)
        if tensor is None:
            maker = self.makers.get(name)
            if maker is None or maker.op_type != "Constant" or not maker.attribute:
                return None
            tensor = maker.attribute[0].t
        if tensor.data_type != onnx.Tensor.INT64:
            return None
        if tensor.int64_data:
            return list(tensor.int64_data)
        count = len(tensor.raw_data) // _INT64_BYTES
        return list(struct.unpack(f"<{count}q", tensor.raw_data[: count * _INT64_BYTES]))

    def follows_from(self, name: str, source: str) -> bool:
        """Whether the value `name` is computed from `source`, or is it."""
        seen, waiting = {name}, [name]
        while waiting:
            value = waiting.pop()
            if value == source:
                return True
            maker = self.makers.get(value)
            inputs = {*maker.input, *_captured(maker)} if maker is not None else set()
            waiting += inputs - seen
            seen |= inputs
        return False


def read_graph(path: Path) -> ModelGraph:
    """Read a model file; external weights stay where they are.

    Raises:
        GraphUnfit: not a model that can be rewritten.
        OSError: the file cannot be read.
    """
    try:
        model = onnx.Model.FromString(path.read_bytes())
    except DecodeError as error:
        raise GraphUnfit("it is not an ONNX file") from error
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < LEAST_OPSET:
        raise GraphUnfit(f"its operators must be those of opset {LEAST_OPSET} or later, not {opset}")
    return ModelGraph(model)


def make_node(operator: str, inputs: Iterable[str], output: str, **integers: int) -> onnx.Node:
    """Make a node of ONNX's own domain with one output."""
    attributes = [onnx.Attribute(name=name, i=value, type=onnx.Attribute.INT) for name, value in integers.items()]
    return onnx.Node(op_type=operator, name=f"{output}/{operator}", input=inputs, output=[output], attribute=attributes)


def integer_tensor(name: str, values: list[int]) -> onnx.Tensor:
    """Make a constant, one axis of int64."""
    return onnx.Tensor(
        name=name,
        dims=[len(values)],
        data_type=onnx.Tensor.INT64,
        raw_data=struct.pack(f"<{len(values)}q", *values),
    )


def value_info(name: str, element: onnx.Tensor.DataType, dims: Iterable[int | str]) -> onnx.ValueInfo:
    """Describe an input or output; a dimension that is a name is free."""
    shape = onnx.Shape(
        dim=[onnx.Dimension(dim_value=d) if isinstance(d, int) else onnx.Dimension(dim_param=d) for d in dims]
    )
    return onnx.ValueInfo(name=name, type=onnx.Type(tensor_type=onnx.TensorType(elem_type=element, shape=shape)))


def attribute_int(node: onnx.Node, name: str, default: int) -> int:
    """Give an attribute that is one integer."""
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def attribute_ints(node: onnx.Node, name: str) -> list[int]:
    """Give an attribute that is a list of integers; empty where it is not there."""
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == name), [])


def _captured(node: onnx.Node) -> set[str]:
    """Give the names that the node's own graphs read, their own values among them."""
    names: set[str] = set()
    for attribute in node.attribute:
        if attribute.type == onnx.Attribute.GRAPH:
            for inner in attribute.g.node:
                names |= {*inner.input, *_captured(inner)}
    return names
