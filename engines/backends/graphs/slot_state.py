"""Moves a model's state into the graph: pools with a row for each slot, read and written in place by slot number.

The rewritten graph takes, beside features and lengths, a pool for each state and the rows to read and to write. It
gathers rows at its beginning and scatters them at its end. Bound to the same memory as input and as output, a pool is
updated where it lies, on the CPU as on a device: nothing else of it is touched or copied.

Many exports stack the states of all layers, and begin by taking the stack apart again. Where the graph does, each layer
gets a pool of its own, and both copies are gone.

On a GPU ONNX Runtime writes each indexed part of a pool with one thread (`_ScatterNDKernel`, scatter_nd_impl.cu): a row
that is one part is copied number by number. So rows can be laid out, and written, in small parts.

What must stay true: a pool's rows are written only after they were read. So the value that is written must follow from
the one that was read; a graph in which it does not is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from engines.backends.graphs.model_graph import (
    GraphUnfit,
    attribute_int,
    attribute_ints,
    integer_tensor,
    make_node,
    value_info,
)
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.backends.graphs.model_graph import ModelGraph

READ_ROWS, WRITE_ROWS = "patchbay/read_rows", "patchbay/write_rows"
_WRITE_INDEX = "patchbay/write_index"
_LAST_AXIS_NAME = "patchbay/last_axis"
_PART_INDEX, _ROW_AND_NO_PART = "patchbay/part_index", "patchbay/row_and_no_part"
_BATCH = "patchbay_batch"
_LAYERS_FIRST = [1, 0]


class State(NamedTuple):
    """One state of the model: its input, its output, and the shape of one row; the batch is axis 0."""

    input: str
    output: str
    row_shape: tuple[int, ...]


class Pool(NamedTuple):
    """One pool of the rewritten graph; `element` is an ONNX data type. Rows in parts have them on their first axis."""

    input: str
    output: str
    row_shape: tuple[int, ...]
    element: onnx.Tensor.DataType


class _Piece(NamedTuple):
    """What one pool stands for: the value read from it, and the one that goes back."""

    read: str
    written: str
    row_shape: tuple[int, ...]


@dataclass(slots=True)
class _Layers:
    pieces: list[_Piece]
    nodes_gone: list[onnx.Node] = field(default_factory=list)


def pool_states(
    model: ModelGraph, states: Sequence[State], *, pool_rows: int, kept_outputs: Sequence[str], part_numbers: int = 0
) -> list[Pool]:
    """Rewrite the graph in place: pools of `pool_rows` for states, and no outputs but `kept_outputs` and the pools.

    Args:
        part_numbers: the most numbers of a row that are written as one part; 0 writes each row as a whole.

    Raises:
        GraphUnfit: a state goes past its own past; the graph is left as it was.
    """
    plans = [
        _layers_of(model, state) or _Layers([_Piece(state.input, state.output, state.row_shape)]) for state in states
    ]
    for plan in plans:
        for piece in plan.pieces:
            if not model.follows_from(piece.written, piece.read):
                raise GraphUnfit(f"the next {piece.read} must follow from the last one")
    graph = model.graph
    elements = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    access = _Access(graph, part_numbers)
    pools: list[Pool] = []
    for state, plan in zip(states, plans, strict=True):
        for number, piece in enumerate(plan.pieces):
            names = f"{state.input}/pool_{number}", f"{state.input}/next_pool_{number}"
            pools.append(access.pool(names, piece, elements[state.input]))
    _replace_nodes(graph, access.gathers, access.scatters, [node for plan in plans for node in plan.nodes_gone])
    _replace_border(graph, states, pools, pool_rows, kept_outputs)
    return pools


class _Access:
    """The nodes that read pools at the beginning of the graph, and those that write them at its end."""

    def __init__(self, graph: onnx.Graph, part_numbers: int) -> None:
        self.gathers: list[onnx.Node] = []
        self.scatters = [make_node("Unsqueeze", [WRITE_ROWS, _LAST_AXIS_NAME], _WRITE_INDEX)]
        self._graph = graph
        self._part_numbers = part_numbers
        self._part_counts: set[int] = set()
        graph.initializer.append(integer_tensor(_LAST_AXIS_NAME, [-1]))

    def pool(self, names: tuple[str, str], piece: _Piece, element: onnx.Tensor.DataType) -> Pool:
        """Read and write one piece through a pool; `names` are its input and its output."""
        pool_input, pool_output = names
        numbers = math.prod(piece.row_shape)
        if not self._part_numbers or numbers <= self._part_numbers:
            self.gathers.append(make_node("Gather", [pool_input, READ_ROWS], piece.read, axis=0))
            self.scatters.append(make_node("ScatterND", [pool_input, _WRITE_INDEX, piece.written], pool_output))
            return Pool(pool_input, pool_output, piece.row_shape, element)
        width = next(width for width in range(self._part_numbers, 0, -1) if numbers % width == 0)
        row_shape = numbers // width, width
        whole, parted = f"{pool_input}/whole", f"{pool_output}/parted"
        self._graph.initializer.append(integer_tensor(f"{whole}/shape", [-1, *piece.row_shape]))
        self._graph.initializer.append(integer_tensor(f"{parted}/shape", [-1, *row_shape]))
        self.gathers.append(make_node("Gather", [pool_input, READ_ROWS], whole, axis=0))
        self.gathers.append(make_node("Reshape", [whole, f"{whole}/shape"], piece.read))
        self.scatters.append(make_node("Reshape", [piece.written, f"{parted}/shape"], parted))
        self.scatters.append(make_node("ScatterND", [pool_input, self._part_index(row_shape[0]), parted], pool_output))
        return Pool(pool_input, pool_output, row_shape, element)

    def _part_index(self, parts: int) -> str:
        """Give the name of (batch, parts, 2) row and part."""
        graph, name = self._graph, f"{_PART_INDEX}_{parts}"
        if not self._part_counts:
            graph.initializer.append(integer_tensor(_ROW_AND_NO_PART, [1, 0]))
            rows, pairs = f"{_PART_INDEX}/rows", f"{_PART_INDEX}/pairs"
            self.scatters.append(make_node("Unsqueeze", [_WRITE_INDEX, _LAST_AXIS_NAME], rows))
            self.scatters.append(make_node("Mul", [rows, _ROW_AND_NO_PART], pairs))
        if parts not in self._part_counts:
            self._part_counts.add(parts)
            numbered = integer_tensor(f"{name}/parts", [number for part in range(parts) for number in (0, part)])
            numbered.dims[:] = [parts, 2]
            graph.initializer.append(numbered)
            self.scatters.append(make_node("Add", [f"{_PART_INDEX}/pairs", f"{name}/parts"], name))
        return name


def _layers_of(model: ModelGraph, state: State) -> _Layers | None:
    """Find the layers that the graph takes the state apart into, if it does and puts them together the same way."""
    reads, taken_apart = _layers_read(model, state)
    written, put_together = _layers_written(model, state)
    if not reads or len(reads) != state.row_shape[0] or len(written) != len(reads):
        return None
    pieces = [_Piece(read, layer, state.row_shape[1:]) for read, layer in zip(reads, written, strict=True)]
    return _Layers(pieces, [*taken_apart, *put_together])


def _layers_read(model: ModelGraph, state: State) -> tuple[list[str], list[onnx.Node]]:
    """Give what each layer reads, in order, and the nodes that do nothing else; nothing if that is not all."""
    users, axis, gone = model.users.get(state.input, []), 1, []
    if len(users) == 1 and _swaps_layers(users[0], len(state.row_shape) + 1):
        gone, axis = [users[0]], 0
        users = model.users.get(users[0].output[0], [])
    layers: dict[int, str] = {}
    for node in users:
        taken = _layer_taken(model, node, axis)
        if taken is None or taken.number in layers:
            return [], []
        layers[taken.number] = taken.value
        gone += taken.nodes
    if sorted(layers) != list(range(len(layers))):
        return [], []
    return [layers[number] for number in range(len(layers))], gone


class _Taken(NamedTuple):
    """One layer of a stack: its number, the value that holds it, and the nodes that take it out."""

    number: int
    value: str
    nodes: list[onnx.Node]


def _layer_taken(model: ModelGraph, node: onnx.Node, axis: int) -> _Taken | None:
    """Read a Gather by a plain number, or a Slice of one layer whose axis is squeezed away."""
    if node.op_type == "Gather" and attribute_int(node, "axis", 0) == axis:
        number = model.integers(node.input[1])
        if number is not None and len(number) == 1 and not _keeps_axis(model, node.input[1]):
            return _Taken(number[0], node.output[0], [node])
    if node.op_type == "Slice" and len(node.input) in (4, 5):
        begin, end, axes, *steps = (model.integers(name) for name in node.input[1:])
        squeezes = model.users.get(node.output[0], [])
        is_one = (
            begin is not None and len(begin) == 1 and end == [begin[0] + 1] and axes == [axis] and steps in ([], [[1]])
        )
        if is_one and begin is not None and len(squeezes) == 1 and _squeezes(model, squeezes[0], axis):
            return _Taken(begin[0], squeezes[0].output[0], [node, squeezes[0]])
    return None


def _squeezes(model: ModelGraph, node: onnx.Node, axis: int) -> bool:
    return node.op_type == "Squeeze" and len(node.input) > 1 and model.integers(node.input[1]) == [axis]


def _keeps_axis(model: ModelGraph, name: str) -> bool:
    """Whether a Gather by this constant keeps the axis: by a list of one it does, by a plain number it goes."""
    tensor = model.initializers.get(name)
    if tensor is None:
        tensor = model.makers[name].attribute[0].t
    return len(tensor.dims) > 0


def _layers_written(model: ModelGraph, state: State) -> tuple[list[str], list[onnx.Node]]:
    """Give what each layer writes, in order, and the nodes that stack them; nothing if it is not a stack."""
    stack, axis, gone = model.makers.get(state.output), 1, []
    if stack is not None and stack.op_type == "Identity":
        gone = [stack]
        stack = model.makers.get(stack.input[0])
    if stack is not None and _swaps_layers(stack, len(state.row_shape) + 1):
        gone, axis = [*gone, stack], 0
        stack = model.makers.get(stack.input[0])
    if stack is None or stack.op_type != "Concat" or attribute_int(stack, "axis", 0) != axis:
        return [], []
    layers = []
    for name in stack.input:
        maker = model.makers.get(name)
        if maker is None or maker.op_type != "Unsqueeze" or model.integers(maker.input[1]) != [axis]:
            return [], []
        layers.append(maker.input[0])
    # Somebody who reads the stack itself needs it whole; the nodes of a chain are each read by the one before.
    first, *others = [*gone, stack]
    if model.users.get(first.output[0]) or any(len(model.users[node.output[0]]) > 1 for node in others):
        return [], []
    return (layers, [first, *others]) if len(set(layers)) == len(layers) else ([], [])


def _swaps_layers(node: onnx.Node, rank: int) -> bool:
    """Whether the node swaps the batch and the layers and leaves the rest."""
    return node.op_type == "Transpose" and attribute_ints(node, "perm") == [*_LAYERS_FIRST, *range(2, rank)]


def _replace_nodes(
    graph: onnx.Graph, first: Sequence[onnx.Node], last: Sequence[onnx.Node], gone: Sequence[onnx.Node]
) -> None:
    outputs_gone = {name for node in gone for name in node.output}
    kept = [node for node in graph.node if not outputs_gone.intersection(node.output)]
    nodes = [*first, *kept, *last]
    copies = []
    for node in nodes:
        copy = onnx.Node()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def _replace_border(
    graph: onnx.Graph, states: Sequence[State], pools: Sequence[Pool], pool_rows: int, kept_outputs: Sequence[str]
) -> None:
    state_inputs = {state.input for state in states}
    inputs = [value for value in graph.input if value.name not in state_inputs]
    outputs = [value for value in graph.output if value.name in kept_outputs]
    rows = [value_info(name, onnx.Tensor.INT64, (_BATCH,)) for name in (READ_ROWS, WRITE_ROWS)]
    pool_inputs = [value_info(pool.input, pool.element, (pool_rows, *pool.row_shape)) for pool in pools]
    pool_outputs = [value_info(pool.output, pool.element, (pool_rows, *pool.row_shape)) for pool in pools]
    for repeated, values in ((graph.input, [*inputs, *rows, *pool_inputs]), (graph.output, [*outputs, *pool_outputs])):
        copies = []
        for value in values:
            copy = onnx.ValueInfo()
            copy.CopyFrom(value)
            copies.append(copy)
        del repeated[:]
        repeated.extend(copies)
