"""ONNX Runtime's CUDA provider keeps the contract of a backend, with state on the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.backends.onnx_cuda import cuda_runner, load_cuda_libraries, open_on_device
from engines.contract import BackendKind, BackendSettings
from engines.errors import RuntimeMissing
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case
from tests.contracts.model_variants import EMBEDDED_MODEL, Reference, write_float16

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend

pytestmark = pytest.mark.gpu

FP32_TOLERANCE, FP16_TOLERANCE = 2e-3, 1e-1
FP32_BATCH_TOLERANCE, FP16_BATCH_TOLERANCE = 1e-3, 5e-2


def on_cuda(folder: Path, *, tolerance: float, batch_tolerance: float) -> Case:
    """A model on the GPU; its numbers and words are held against the CPU's."""
    model_file = find_model_file(folder)

    def on_cpu(chosen: BackendSettings) -> Backend:
        return open_plain(check_model(folder), model_file, chosen)

    return Case(
        BackendKind.onnx_cuda,
        lambda chosen: load_backend(folder, chosen),
        Reference(model_file).rows,
        on_cpu,
        tolerance,
        batch_tolerance=batch_tolerance,
        model_file=model_file,
    )


class TestCudaFloat32(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        return on_cuda(EMBEDDED_MODEL, tolerance=FP32_TOLERANCE, batch_tolerance=FP32_BATCH_TOLERANCE)


class TestCudaFloat16(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        folder = write_float16(tmp_path_factory.mktemp("float16") / "model", keeps_float32_outside=True)
        return on_cuda(folder, tolerance=FP16_TOLERANCE, batch_tolerance=FP16_BATCH_TOLERANCE)


def test_recording_is_refused_for_a_model_that_leaves_operators_to_the_cpu() -> None:
    """The embedded model computes its attention's scale from a shape, which ONNX Runtime does on the CPU."""
    settings = BackendSettings(kind=BackendKind.onnx_cuda, max_slots=8)
    load_cuda_libraries()
    with pytest.raises(RuntimeMissing, match="graph capture"):
        open_on_device(
            check_model(EMBEDDED_MODEL),
            find_model_file(EMBEDDED_MODEL),
            settings,
            cuda_runner(settings, records_launches=True),
        )
