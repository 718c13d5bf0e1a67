"""Inputs and outputs are bound by their position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.tensorrt.model_tensors import read_tensors
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.making import Model
    from engines.backends.tensorrt.model_tensors import ModelTensors

pytestmark = pytest.mark.unit


def test_the_sizes_are_those_of_the_contract(tensors: ModelTensors, model: Model) -> None:
    assert tensors.features.shape(3) == (3, model.contract.feature_dim, model.contract.window_frames)
    assert [state.before.row_shape for state in tensors.states] == [
        model.contract.cache_channel_shape,
        model.contract.cache_time_shape,
        (),
    ]
    assert tensors.state_bytes_per_slot == sum(state.after.row_bytes for state in tensors.states)
    assert len(tensors.inputs) == len(tensors.outputs) == 5


def test_another_file_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelRejected, match="5 inputs and 5 outputs, not 0 and 0"):
        read_tensors(tmp_path / "empty.onnx", model.contract)
    with pytest.raises(ModelRejected, match="cannot be read"):
        read_tensors(tmp_path / "none.onnx", model.contract)
