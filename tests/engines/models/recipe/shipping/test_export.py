"""The exported file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

import engines.models
from engines.models.recipe.shipping.export import export, export_half, largest_difference
from engines.models.recipe.training.network import Network, NetworkShape

pytestmark = pytest.mark.recipe

EMBEDDED = Path(engines.models.__file__).parent / "embedded" / "model.onnx"


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(NetworkShape()).eval()


@pytest.mark.parametrize("chunk", [2, 4, 8])
def test_the_file_computes_what_the_network_computes(network: Network, tmp_path: Path, chunk: int) -> None:
    path = export(network, tmp_path / "model.onnx", chunk=chunk)

    assert largest_difference(network, path, chunk=chunk) < 1e-3


def test_the_file_has_the_embedded_files_inputs_outputs_and_metadata(network: Network, tmp_path: Path) -> None:
    made, shipped = onnx.load(export(network, tmp_path / "model.onnx")), onnx.load(EMBEDDED)

    assert list(made.graph.input) == list(shipped.graph.input)
    assert list(made.graph.output) == list(shipped.graph.output)
    assert {entry.key: entry.value for entry in made.metadata_props} == {
        entry.key: entry.value for entry in shipped.metadata_props
    }
    assert made.opset_import[0].version == shipped.opset_import[0].version == 17


def test_the_half_file_is_half_as_large_and_keeps_its_border(network: Network, tmp_path: Path) -> None:
    path = export(network, tmp_path / "model.onnx")
    half = export_half(path, tmp_path / "model.fp16.onnx")

    assert half.stat().st_size < 0.55 * path.stat().st_size
    assert list(onnx.load(half).graph.output) == list(onnx.load(path).graph.output)
    assert largest_difference(network, half) < 0.1
