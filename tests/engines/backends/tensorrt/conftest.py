"""The embedded model over host memory: everything of the TensorRT backend but TensorRT and the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.tensorrt.making import Model
from engines.backends.tensorrt.model_tensors import ModelTensors, read_tensors
from engines.model_files import check_model, find_model_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def model(embedded_model: Path) -> Model:
    return Model(check_model(embedded_model), find_model_file(embedded_model))


@pytest.fixture(scope="session")
def tensors(model: Model) -> ModelTensors:
    return read_tensors(model.file, model.contract)
