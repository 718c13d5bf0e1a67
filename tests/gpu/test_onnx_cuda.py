"""ONNX Runtime's CUDA provider keeps the contract of a backend, with state on the GPU and launches recorded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.backends.onnx_cuda import cuda_runner, open_on_device
from engines.backends.step_times import speech_like
from engines.contract import BackendKind, BackendSettings
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


def test_recorded_launches_give_the_same_numbers() -> None:
    settings = BackendSettings(kind=BackendKind.onnx_cuda, max_slots=8)
    contract, model_file = check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL)
    plain = open_on_device(contract, model_file, settings, cuda_runner(settings))
    recorded_runner = cuda_runner(settings, records_launches=True)
    recorded = open_on_device(contract, model_file, settings, recorded_runner)
    for step in range(6):
        features = speech_like(contract, rows=8, seed=step)
        for slots in ([0, 1, 2, 3, 4, 5, 6, 7], [3, 1], [6]):
            windows = features[: len(slots)]
            assert np.abs(recorded.step(windows, slots) - plain.step(windows, slots)).max() <= FP32_BATCH_TOLERANCE
