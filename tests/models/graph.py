"""Writes ONNX graphs node by node, with random weights of a size that keeps signals alive through many layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

_OPSET, _IR_VERSION = 17, 8
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    """One graph being written; values are named as they come."""

    def __init__(self, *, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._shared: dict[tuple[int, ...], str] = {}
        self._names = 0

    def input(self, name: str, element_type: int, shape: Sequence[int | str]) -> str:
        """Declare an input and give its name."""
        self._inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def output(self, name: str, value: str, element_type: int, shape: Sequence[int | str]) -> None:
        """Declare an output that is a value of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, element_type, shape))

    def op(self, operator: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """Add a node and give the name of its first output; of several, number k is named `<first>_k`."""
        first = self._name()
        names = [first, *(f"{first}_{number}" for number in range(1, outputs))]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return first

    def constant(self, values: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        name = self._name()
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def ints(self, *values: int) -> str:
        """Give a constant of whole numbers, written once."""
        if values not in self._shared:
            self._shared[values] = self.constant(np.array(values, np.int64))
        return self._shared[values]

    def weights(self, *shape: int, fan_in: int, gain: float = 1.0, is_balanced: bool = False) -> str:
        """Give random weights, normal with a variance of `gain` squared over `fan_in`.

        `is_balanced`: the kernel of each channel, behind the first two axes, sums to 0.
        """
        values = self._dice.standard_normal(shape, dtype=np.float32)
        if is_balanced:
            values -= values.mean(axis=tuple(range(2, len(shape))), keepdims=True)
        values *= np.float32(gain / np.sqrt(fan_in))
        return self.constant(values)

    def linear(self, value: str, inputs: int, outputs: int, *, gain: float = 1.0) -> str:
        """Multiply the last axis by a random matrix, without a bias."""
        return self.op("MatMul", value, self.weights(inputs, outputs, fan_in=inputs, gain=gain))

    def norm(self, value: str, size: int) -> str:
        """Normalise the last axis."""
        scale = self.constant(np.ones(size, np.float32))
        return self.op("LayerNormalization", value, scale, axis=-1)

    def slice(self, value: str, start: int, end: int, *, axis: int, step: int = 1) -> str:
        return self.op("Slice", value, self.ints(start), self.ints(end), self.ints(axis), self.ints(step))

    def reshape(self, value: str, *shape: int) -> str:
        return self.op("Reshape", value, self.ints(*shape))

    def add(self, *values: str) -> str:
        total = values[0]
        for value in values[1:]:
            total = self.op("Add", total, value)
        return total

    def write(self, path: Path, metadata: Mapping[str, object], *, weights_file: str | None = None) -> None:
        """Write the graph, its weights in a file beside it where one is named."""
        graph = helper.make_graph(self._nodes, path.stem, self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
        path.parent.mkdir(parents=True, exist_ok=True)
        if weights_file is None:
            onnx.save(model, str(path))
        else:
            onnx.save(model, str(path), save_as_external_data=True, location=weights_file, size_threshold=1_024)

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"
