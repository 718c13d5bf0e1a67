"""Pools in the graph do, in place, what gathering and putting back outside would do, however layers are stacked."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from engines.backends.graphs.model_graph import GraphUnfit, ModelGraph
from engines.backends.graphs.slot_state import READ_ROWS, WRITE_ROWS, Pool, State, pool_states
from engines.proto import onnx_graph_pb2

if TYPE_CHECKING:
    import numpy.typing as npt

pytestmark = pytest.mark.unit

ROWS = 7
HEADER = """
<ir_version: 8, opset_import: ["" : 17]>
graph (float[batch,3] x, float[batch,2,3] s) => (float[batch,3] y, float[batch,2,3] t)
"""
LAYERS_SECOND = (
    HEADER
    + """
<int64 zero = {0}, int64 one = {1}, int64[1] at_one = {1}>
{
  a = Gather<axis = 1>(s, zero)
  b = Gather<axis = 1>(s, one)
  c = Add(a, x)
  d = Sub(b, c)
  y = Mul(c, d)
  ca = Unsqueeze(c, at_one)
  da = Unsqueeze(d, at_one)
  t = Concat<axis = 1>(ca, da)
}
"""
)
LAYERS_FIRST = (
    HEADER
    + """
<int64 zero = {0}, int64 one = {1}, int64[1] at_zero = {0}>
{
  r = Transpose<perm = [1, 0, 2]>(s)
  a = Gather<axis = 0>(r, zero)
  b = Gather<axis = 0>(r, one)
  c = Add(a, x)
  d = Sub(b, c)
  y = Mul(c, d)
  ca = Unsqueeze(c, at_zero)
  da = Unsqueeze(d, at_zero)
  u = Concat<axis = 0>(ca, da)
  t = Transpose<perm = [1, 0, 2]>(u)
}
"""
)
WHOLE = (
    HEADER
    + """
<int64[1] at_one = {1}>
{
  xa = Unsqueeze(x, at_one)
  t = Add(s, xa)
  y = ReduceSum<keepdims = 0>(t, at_one)
}
"""
)
READ_TWICE = LAYERS_SECOND.replace("y = Mul(c, d)", "m = ReduceSum<keepdims = 0>(s, at_one)\n  y = Mul(m, d)")
LISTED = LAYERS_SECOND.replace("int64 zero = {0}", "int64[1] zero = {0}").replace(
    "c = Add(a, x)", "a2 = Squeeze(a, at_one)\n  c = Add(a2, x)"
)
SLICED = (
    LAYERS_SECOND.replace(
        "a = Gather<axis = 1>(s, zero)", "a1 = Slice(s, at_zero, at_one, at_one)\n  a = Squeeze(a1, at_one)"
    )
    .replace("b = Gather<axis = 1>(s, one)", "b1 = Slice(s, at_one, at_two, at_one, at_one)\n  b = Squeeze(b1, at_one)")
    .replace("int64[1] at_one = {1}", "int64[1] at_zero = {0}, int64[1] at_one = {1}, int64[1] at_two = {2}")
    .replace("  t = Concat", "  t0 = Concat")
    .replace("(ca, da)\n", "(ca, da)\n  t = Identity(t0)\n")
)
STACK_READ = SLICED.replace("y = Mul(c, d)\n", "").replace(
    "t = Identity(t0)", "t = Identity(t0)\n  y = ReduceSum<keepdims = 0>(t0, at_one)"
)
STRIDED = SLICED.replace("Slice(s, at_one, at_two, at_one, at_one)", "Slice(s, at_one, at_two, at_one, at_two)")
FORGETFUL = (
    HEADER
    + "<int64[1] at_one = {1}>\n{\n  y = Identity(x)\n  u = Unsqueeze(x, at_one)\n  t = Concat<axis = 1>(u, u)\n}"
)


def graph_of(text: str) -> ModelGraph:
    return ModelGraph(onnx_graph_pb2.Model.FromString(parser.parse_model(text).SerializeToString()))


def pooled(text: str, *, part_numbers: int = 0) -> tuple[onnxruntime.InferenceSession, list[Pool]]:
    graph = graph_of(text)
    pools = pool_states(graph, [State("s", "t", (2, 3))], pool_rows=ROWS, kept_outputs=["y"], part_numbers=part_numbers)
    content = graph.model.SerializeToString()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]), pools


@pytest.mark.parametrize(
    ("text", "pool_shapes"),
    [
        (LAYERS_SECOND, [(3,), (3,)]),
        (LAYERS_FIRST, [(3,), (3,)]),
        (WHOLE, [(2, 3)]),
        (READ_TWICE, [(2, 3)]),
        (LISTED, [(2, 3)]),
        (SLICED, [(3,), (3,)]),
        (STACK_READ, [(2, 3)]),
        (STRIDED, [(2, 3)]),
    ],
    ids=[
        *("layers second", "layers first", "no layers", "layers read together too", "layers read as lists"),
        *("layers cut out", "the next stack read too", "layers cut out by steps"),
    ],
)
@pytest.mark.parametrize("part_numbers", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_pools_are_read_and_written_by_row_and_nothing_else_of_them_changes(
    text: str, pool_shapes: list[tuple[int, ...]], seed: int, part_numbers: int
) -> None:
    dice = random.Random(seed)
    plain = onnxruntime.InferenceSession(
        parser.parse_model(text).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    session, pools = pooled(text, part_numbers=part_numbers)
    for pool, shape in zip(pools, pool_shapes, strict=True):
        if not part_numbers or math.prod(shape) <= part_numbers:
            assert pool.row_shape == shape
        else:
            assert (math.prod(pool.row_shape), len(pool.row_shape)) == (math.prod(shape), 2)
            assert pool.row_shape[1] <= part_numbers
    state = np.random.default_rng(seed).standard_normal((ROWS, 2, 3), dtype=np.float32)
    places = [
        part.reshape(ROWS, *pool.row_shape).copy() for part, pool in zip(_parted(state, len(pools)), pools, strict=True)
    ]
    for _ in range(8):
        read = np.array(dice.sample(range(ROWS), dice.randint(1, ROWS)), np.int64)
        write = np.array(dice.sample(range(ROWS), len(read)), np.int64)
        x = np.random.default_rng(dice.randrange(99)).standard_normal((len(read), 3), dtype=np.float32)
        expected, next_state = plain.run(None, {"x": x, "s": state[read]})
        state[write] = next_state
        assert np.array_equal(_run_in_place(session, pools, places, x, read, write), expected)
        for place, part in zip(places, _parted(state, len(pools)), strict=True):
            assert np.array_equal(place.reshape(part.shape), part)


def _parted(state: npt.NDArray[np.float32], count: int) -> list[npt.NDArray[np.float32]]:
    return [state] if count == 1 else [state[:, number] for number in range(count)]


def _run_in_place(
    session: onnxruntime.InferenceSession,
    pools: list[Pool],
    places: list[npt.NDArray[np.float32]],
    x: npt.NDArray[np.float32],
    read: npt.NDArray[np.int64],
    write: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    binding = session.io_binding()
    binding.bind_output("y", "cpu")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(place) for place in places]
    for name, given in (("x", x), (READ_ROWS, read), (WRITE_ROWS, write)):
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(given))
    for pool, value in zip(pools, values, strict=True):
        binding.bind_ortvalue_input(pool.input, value)
        binding.bind_ortvalue_output(pool.output, value)
    session.run_with_iobinding(binding)
    result: npt.NDArray[np.float32] = binding.copy_outputs_to_cpu()[0]
    return result


def test_the_rewritten_graph_has_no_other_outputs_and_no_copy_of_a_stack() -> None:
    session, pools = pooled(LAYERS_SECOND)
    assert [given.name for given in session.get_outputs()] == ["y", *(pool.output for pool in pools)]
    assert [given.name for given in session.get_inputs()] == [
        "x",
        READ_ROWS,
        WRITE_ROWS,
        *(pool.input for pool in pools),
    ]
    graph = graph_of(LAYERS_SECOND)
    pool_states(graph, [State("s", "t", (2, 3))], pool_rows=ROWS, kept_outputs=["y"])
    assert "Concat" not in {node.op_type for node in graph.graph.node}


def test_a_state_that_does_not_follow_from_itself_is_refused_and_the_graph_left_as_it_was() -> None:
    graph = graph_of(FORGETFUL)
    before = graph.model.SerializeToString(deterministic=True)
    with pytest.raises(GraphUnfit, match="the next s must follow from the last one"):
        pool_states(graph, [State("s", "t", (2, 3))], pool_rows=ROWS, kept_outputs=["y"])
    assert graph.model.SerializeToString(deterministic=True) == before


def test_the_embedded_models_state_has_a_pool_for_each_layer(embedded_model: object) -> None:
    content = onnx.load(f"{embedded_model}/model.onnx").SerializeToString()
    graph = ModelGraph(onnx_graph_pb2.Model.FromString(content))
    states = [
        State("cache_last_channel", "cache_last_channel_next", (6, 32, 288)),
        State("cache_last_time", "cache_last_time_next", (6, 144, 8)),
        State("cache_last_channel_len", "cache_last_channel_next_len", ()),
    ]
    pools = pool_states(graph, states, pool_rows=ROWS, kept_outputs=["logprobs"])
    assert [pool.row_shape for pool in pools] == [*[(32, 288)] * 6, *[(144, 8)] * 6, ()]
