"""A graph is read for rewriting: constants, and what follows from what, through graphs inside too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from onnx import parser

from engines.backends.graphs.model_graph import GraphUnfit, ModelGraph, integer_tensor, make_node, read_graph
from engines.proto import onnx_graph_pb2

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
graph (float[n] x, float[n] z, bool c) => (float[n] y)
<int64[2] listed = {3, 4}, float[1] f = {1.0}>
{
  k = Constant<value = int64 {7}>()
  a = Neg(x)
  b = If (c) <
    then_branch = g1 () => (float[n] p) { p = Abs(a) },
    else_branch = g2 () => (float[n] q) { q = Identity(z) }
  >
  y = Mul(b, f)
}
"""


@pytest.fixture(scope="module")
def graph() -> ModelGraph:
    return ModelGraph(onnx_graph_pb2.Model.FromString(parser.parse_model(TEXT).SerializeToString()))


def test_whole_numbers_are_read_wherever_they_are_written(graph: ModelGraph) -> None:
    assert graph.integers("listed") == [3, 4]
    assert graph.integers("k") == [7]
    raw = integer_tensor("raw", [-1, 2])
    assert ModelGraph(onnx_graph_pb2.Model(graph=onnx_graph_pb2.Graph(initializer=[raw]))).integers("raw") == [-1, 2]


@pytest.mark.parametrize("name", ["f", "x", "a", "nowhere"])
def test_what_is_no_constant_of_whole_numbers_has_none(graph: ModelGraph, name: str) -> None:
    assert graph.integers(name) is None


def test_what_follows_from_what_is_seen_through_graphs_inside(graph: ModelGraph) -> None:
    assert graph.follows_from("y", "x")
    assert graph.follows_from("y", "z")
    assert graph.follows_from("a", "a")
    assert not graph.follows_from("a", "z")
    assert not graph.follows_from("x", "y")


def test_users_are_found_inside_too(graph: ModelGraph) -> None:
    assert [node.op_type for node in graph.users["a"]] == ["If"]


def test_a_graph_of_an_older_opset_is_unfit(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(parser.parse_model(TEXT.replace("17", "12")).SerializeToString())
    with pytest.raises(GraphUnfit, match="opset 13 or later, not 12"):
        read_graph(path)


def test_what_is_no_onnx_is_unfit(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff" * 9)
    with pytest.raises(GraphUnfit, match="not an ONNX file"):
        read_graph(path)


def test_a_model_read_and_written_is_the_same_model(embedded_model: Path) -> None:
    content = (embedded_model / "model.onnx").read_bytes()
    again = read_graph(embedded_model / "model.onnx").model.SerializeToString()
    assert onnx_graph_pb2.Model.FromString(again) == onnx_graph_pb2.Model.FromString(content)


def test_a_node_is_made_with_its_attributes() -> None:
    node = make_node("Gather", ["a", "b"], "c", axis=1)
    assert (node.op_type, list(node.input), list(node.output)) == ("Gather", ["a", "b"], ["c"])
    assert [(attribute.name, attribute.i) for attribute in node.attribute] == [("axis", 1)]
