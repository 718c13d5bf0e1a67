"""Weights come out of a file as they went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import engines.models
from engines.models.recipe.shipping.export import export, largest_difference
from engines.models.recipe.shipping.recover import ForeignModel, recover
from engines.models.recipe.training.network import Network, NetworkShape

pytestmark = pytest.mark.recipe

EMBEDDED = Path(engines.models.__file__).parent / "embedded" / "model.onnx"


def test_the_embedded_file_is_this_network(tmp_path: Path) -> None:
    assert largest_difference(recover(EMBEDDED), EMBEDDED) < 1e-4


def test_exporting_the_embedded_weights_gives_the_embedded_outputs(tmp_path: Path) -> None:
    again = export(recover(EMBEDDED), tmp_path / "model.onnx")
    sessions = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (EMBEDDED, again)
    ]
    names = [node.name for node in sessions[0].get_inputs()]
    states = [[np.zeros((3, 6, 32, 288), np.float32), np.zeros((3, 6, 144, 8), np.float32), np.zeros(3, np.int64)]] * 2
    dice = np.random.default_rng(0)
    for _ in range(12):
        window = (dice.standard_normal((3, 80, 39)) * 2 - 9).astype(np.float32)
        outputs = [
            session.run(None, dict(zip(names, [window, np.full(3, 39), *state], strict=True)))
            for session, state in zip(sessions, states, strict=True)
        ]
        states = [output[2:] for output in outputs]
        for shipped, made in zip(*outputs, strict=True):
            assert np.abs(shipped - made).max() < 1e-5


def test_a_file_of_this_recipe_gives_its_weights_back(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Network(NetworkShape())
    for value in network.state_dict().values():
        value.copy_(torch.randn(value.shape) * 0.1)  # all apart: the exporter stores equal parameters once

    recovered = recover(export(network, tmp_path / "model.onnx"))

    wanted = network.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in recovered.state_dict().items())


def test_a_file_of_another_shape_is_refused() -> None:
    with pytest.raises(ForeignModel):
        recover(EMBEDDED, NetworkShape(width=96))
