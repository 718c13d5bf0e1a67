"""A lifted convolution gives the same sums, whatever its groups, strides, gaps and edges; all else is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engines.backends.graphs.convolutions import lift_convolutions
from engines.backends.graphs.model_graph import ModelGraph
from engines.proto import onnx_graph_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

pytestmark = pytest.mark.unit

CHANNELS, FRAMES = 6, 20


def model_of(nodes: Sequence[Any], weights: dict[str, npt.NDArray[np.float32]], *, rank: int = 3) -> bytes:
    shape = ["batch", CHANNELS, *([1] * (rank - 3)), FRAMES]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return made


def run(model: bytes, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: npt.NDArray[np.float32] = session.run(None, {"x": x})[0]
    return result


def lifted(model: bytes) -> tuple[bytes, int]:
    graph = ModelGraph(onnx_graph_pb2.Model.FromString(model))
    count = lift_convolutions(graph)
    return graph.model.SerializeToString(), count


def is_left_alone(model: bytes) -> bool:
    rewritten, count = lifted(model)
    parsed = onnx_graph_pb2.Model.FromString
    return count == 0 and parsed(rewritten) == parsed(model)


@settings(max_examples=60, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 3, 6]),
    taps=st.integers(1, 5),
    stride=st.integers(1, 3),
    gap=st.integers(1, 2),
    pads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    says_kernel=st.booleans(),
    has_bias=st.booleans(),
)
def test_the_sums_are_the_same(
    groups: int, taps: int, stride: int, gap: int, pads: tuple[int, int], says_kernel: bool, has_bias: bool
) -> None:
    dice = np.random.default_rng(taps)
    weights = {"w": dice.standard_normal((12, CHANNELS // groups, taps), dtype=np.float32)}
    if has_bias:
        weights["b"] = dice.standard_normal(12, dtype=np.float32)
    attributes: dict[str, Any] = {"kernel_shape": [taps]} if says_kernel else {}
    node = helper.make_node(
        "Conv", ["x", *weights], ["y"], group=groups, strides=[stride], dilations=[gap], pads=pads, **attributes
    )
    model = model_of([node], weights)
    x = dice.standard_normal((3, CHANNELS, FRAMES), dtype=np.float32)
    rewritten, count = lifted(model)
    onnx.checker.check_model(onnx.load_from_string(rewritten))
    assert count == 1
    np.testing.assert_allclose(run(rewritten, x), run(model, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("edges", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_edges_by_name_stay_as_they_are(edges: str) -> None:
    weights = {"w": np.random.default_rng(0).standard_normal((4, CHANNELS, 3), dtype=np.float32)}
    model = model_of([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=edges, strides=[2])], weights)
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, FRAMES), dtype=np.float32)
    rewritten, count = lifted(model)
    assert count == 1
    np.testing.assert_allclose(run(rewritten, x), run(model, x), atol=1e-5)


def test_weights_that_several_convolutions_share_are_lifted_once() -> None:
    weights = {"w": np.random.default_rng(0).standard_normal((CHANNELS, CHANNELS, 3), dtype=np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"], pads=[1, 1]),
        helper.make_node("Conv", ["z", "w"], ["y"], pads=[1, 1]),
    ]
    model = model_of(nodes, weights)
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, FRAMES), dtype=np.float32)
    rewritten, count = lifted(model)
    assert count == 2
    np.testing.assert_allclose(run(rewritten, x), run(model, x), atol=1e-4)


def test_weights_that_somebody_else_reads_too_are_left_alone() -> None:
    weights = {"w": np.ones((CHANNELS, 1, 1), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"], group=CHANNELS),
        helper.make_node("ReduceSum", ["w"], ["s"], keepdims=1),
        helper.make_node("Mul", ["z", "s"], ["y"]),
    ]
    model = model_of(nodes, weights)
    assert is_left_alone(model)


def test_an_image_is_left_alone() -> None:
    weights = {"w": np.ones((2, CHANNELS, 1, 3), np.float32)}
    model = model_of([helper.make_node("Conv", ["x", "w"], ["y"])], weights, rank=4)
    assert is_left_alone(model)


def test_weights_that_are_computed_are_left_alone() -> None:
    weights = {"v": np.ones((2, CHANNELS, 3), np.float32)}
    nodes = [helper.make_node("Neg", ["v"], ["w"]), helper.make_node("Conv", ["x", "w"], ["y"])]
    model = model_of(nodes, weights)
    assert is_left_alone(model)
