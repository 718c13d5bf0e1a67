"""Makes convolutions over time into convolutions over an image one high: the same sums, by far better kernels.

ONNX Runtime's CPU provider lays images out in blocks of channels, but only images: a convolution with one axis goes
through a small matrix product for each row and group. A depthwise one, of which conformers have one a block, is then
almost nothing but overhead. Measured with the embedded model: docs/engines.md.

Weights are not touched: an axis of 1 goes into their shape alone, wherever their bytes lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.backends.graphs.model_graph import integer_tensor, make_node
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from engines.backends.graphs.model_graph import ModelGraph

_AXIS_NAME = "patchbay/height_axis"
_HEIGHT_AXIS = 2
_TIME_RANK = 3
_IDLE_SIZE = {"kernel_shape": 1, "strides": 1, "dilations": 1}


def lift_convolutions(model: ModelGraph) -> int:
    """Rewrite the graph in place; gives how many convolutions were lifted."""
    weights = _weights_to_lift(model)
    if not weights:
        return 0
    nodes: list[onnx.Node] = []
    lifted = 0
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            nodes += _lifted(node)
            lifted += 1
        else:
            nodes.append(node)
    for name in weights:
        model.initializers[name].dims.insert(_HEIGHT_AXIS, 1)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(integer_tensor(_AXIS_NAME, [_HEIGHT_AXIS]))
    return lifted


def _weights_to_lift(model: ModelGraph) -> set[str]:
    """Give kernels over one axis that are constant and that nobody but convolutions reads."""
    names = {node.input[1] for node in model.graph.node if node.op_type == "Conv" and len(node.input) > 1}
    return {
        name
        for name in names
        if name in model.initializers
        and name not in model.input_names
        and len(model.initializers[name].dims) == _TIME_RANK
        and all(_reads_as_kernel(user, name) for user in model.users[name])
    }


def _reads_as_kernel(node: onnx.Node, name: str) -> bool:
    return node.op_type == "Conv" and not node.domain and node.input[1] == name and list(node.input).count(name) == 1


def _lifted(node: onnx.Node) -> tuple[onnx.Node, onnx.Node, onnx.Node]:
    output = node.output[0]
    image, result = f"{output}/image", f"{output}/result"
    unsqueeze = make_node("Unsqueeze", [node.input[0], _AXIS_NAME], image)
    convolution = onnx.Node()
    convolution.CopyFrom(node)
    convolution.input[0], convolution.output[0] = image, result
    for attribute in convolution.attribute:
        if attribute.name in _IDLE_SIZE:
            attribute.ints.insert(0, _IDLE_SIZE[attribute.name])
        elif attribute.name == "pads":
            before, after = attribute.ints
            attribute.ints[:] = [0, before, 0, after]
    return unsqueeze, convolution, make_node("Squeeze", [result, _AXIS_NAME], output)
