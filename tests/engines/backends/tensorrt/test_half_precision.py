"""Only products go to fp16; what accuracy hangs on stays in fp32, and inputs and outputs keep their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.tensorrt.accuracy import TOLERANCES, made_up_probe, reference
from engines.backends.tensorrt.half_precision import HALF_TYPES, Level, half_layers, with_half_layers
from engines.errors import ModelRejected
from engines.onnx_session import open_session
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.making import Model

pytestmark = pytest.mark.unit


def parsed(content: bytes) -> onnx.Model:
    model = onnx.Model()
    model.ParseFromString(content)
    return model


def test_only_products_are_chosen_and_not_the_last_one(model: Model) -> None:
    graph = parsed(model.file.read_bytes()).graph
    chosen = half_layers(graph, Level.half)
    kinds = {node.op_type for node in graph.node if node.output[0] in chosen}
    assert kinds
    assert kinds <= HALF_TYPES
    assert not kinds & {"LayerNormalization", "Softmax", "LogSoftmax", "ReduceMean", "Pow", "Div"}
    assert "/head/MatMul_output_0" not in chosen
    assert half_layers(graph, Level.half_weights) < chosen
    assert half_layers(graph, Level.full) == frozenset()


@pytest.mark.parametrize("level", [Level.half, Level.half_weights])
def test_the_rewritten_model_gives_the_same_within_the_tolerance(level: Level, model: Model, tmp_path: Path) -> None:
    probe = made_up_probe(model.contract)
    expected = reference(model.file, model.contract, probe)
    halved = with_half_layers(model.file.read_bytes(), level, path="m")
    written = tmp_path / "model.onnx"
    written.write_bytes(halved.content)
    found = reference(written, model.contract, probe)
    counts = expected > -10
    assert 0 < np.abs(found - expected)[counts].max() <= TOLERANCES[level]
    assert len(halved.content) < len(model.file.read_bytes())
    before, after = open_session(model.file, threads=1), open_session(halved.content, threads=1)
    assert [(given.name, given.type) for given in before.get_inputs()] == [
        (given.name, given.type) for given in after.get_inputs()
    ]


def test_weights_beyond_fp16_stay(model: Model) -> None:
    changed = parsed(model.file.read_bytes())
    graph = changed.graph
    chosen = half_layers(graph, Level.half)
    node = next(node for node in graph.node if node.output[0] in chosen and node.op_type == "Conv")
    weights = next(tensor for tensor in graph.initializer if tensor.name == node.input[1])
    values = np.frombuffer(weights.raw_data, "<f4").copy()
    values[0] = 70_000
    weights.raw_data = values.tobytes()
    assert chosen - half_layers(graph, Level.half) == {node.output[0]}


def test_a_file_of_other_floats_is_left_alone(model: Model) -> None:
    changed = parsed(model.file.read_bytes())
    changed.graph.initializer[0].data_type = 10
    content = changed.SerializeToString()
    assert with_half_layers(content, Level.full, path="m").content == content
    with pytest.raises(ModelRejected, match="build it with fp32"):
        with_half_layers(content, Level.half, path="m")


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelRejected, match="not an ONNX file"):
        with_half_layers(b"\xff garbage", Level.half, path="m")
