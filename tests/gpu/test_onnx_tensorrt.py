"""ONNX Runtime's TensorRT provider keeps the contract of a backend, and finds its engines again at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case
from tests.contracts.model_variants import EMBEDDED_MODEL, Reference, write_float16

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend

pytestmark = pytest.mark.gpu

FP32_TOLERANCE, FP16_TOLERANCE = 5e-3, 3e-1
FP32_BATCH_TOLERANCE, FP16_BATCH_TOLERANCE = 1e-3, 5e-2


def on_tensorrt(folder: Path, cache: Path, *, tolerance: float, batch_tolerance: float) -> Case:
    """A model on the GPU; its numbers and words are held against the CPU's."""
    model_file = find_model_file(folder)

    def on_gpu(chosen: BackendSettings) -> Backend:
        return load_backend(folder, msgspec.structs.replace(chosen, cache_folder=str(cache)))

    def on_cpu(chosen: BackendSettings) -> Backend:
        return open_plain(check_model(folder), model_file, chosen)

    return Case(
        BackendKind.onnx_tensorrt,
        on_gpu,
        Reference(model_file).rows,
        on_cpu,
        tolerance,
        batch_tolerance=batch_tolerance,
        model_file=model_file,
    )


class TestOnnxTensorRtFloat32(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        cache = tmp_path_factory.mktemp("engines")
        return on_tensorrt(EMBEDDED_MODEL, cache, tolerance=FP32_TOLERANCE, batch_tolerance=FP32_BATCH_TOLERANCE)


class TestOnnxTensorRtFloat16(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        folder = write_float16(tmp_path_factory.mktemp("float16") / "model", keeps_float32_outside=True)
        cache = tmp_path_factory.mktemp("engines")
        return on_tensorrt(folder, cache, tolerance=FP16_TOLERANCE, batch_tolerance=FP16_BATCH_TOLERANCE)


def test_engines_are_kept_and_found_again(tmp_path: Path) -> None:
    settings = BackendSettings(kind=BackendKind.onnx_tensorrt, max_slots=4, cache_folder=str(tmp_path))
    load_backend(EMBEDDED_MODEL, settings).close()
    engines = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")}
    assert engines
    load_backend(EMBEDDED_MODEL, settings).close()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")} == engines
