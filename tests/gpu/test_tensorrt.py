"""TensorRT keeps the contract of a backend; its engine files are found again; recorded graphs change no bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.backends.step_times import speech_like
from engines.backends.tensorrt.backend import TensorRtBackend
from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.half_precision import Precision
from engines.backends.tensorrt.making import EngineRequest, Model, make_engine
from engines.backends.tensorrt.toolchain import TensorRtToolchain
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import MAX_BATCH, BackendConformance, Case
from tests.contracts.model_variants import EMBEDDED_MODEL, Reference

if TYPE_CHECKING:
    from engines.contract import Backend

pytestmark = pytest.mark.gpu

FP32_TOLERANCE, FP16_TOLERANCE = 5e-3, 3e-1


def on_tensorrt(model: Model, cache: Path, precision: Precision, *, tolerance: float) -> Case:
    """The model in an engine of this precision; its numbers and words are held against the CPU's."""
    make_engine(TensorRtToolchain(0), model, EngineRequest(BatchRange(1, MAX_BATCH, MAX_BATCH), precision, cache))

    def on_gpu(chosen: BackendSettings) -> Backend:
        return load_backend(EMBEDDED_MODEL, msgspec.structs.replace(chosen, cache_folder=str(cache)))

    def on_cpu(chosen: BackendSettings) -> Backend:
        return open_plain(model.contract, model.file, chosen)

    return Case(BackendKind.tensorrt, on_gpu, Reference(model.file).rows, on_cpu, tolerance, model_file=model.file)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL))


class TestTensorRtFloat32(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Case:
        return on_tensorrt(model, tmp_path_factory.mktemp("engines"), Precision.fp32, tolerance=FP32_TOLERANCE)


class TestTensorRtFloat16(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Case:
        return on_tensorrt(model, tmp_path_factory.mktemp("engines"), Precision.fp16, tolerance=FP16_TOLERANCE)


@pytest.mark.parametrize("precision", list(Precision))
def test_an_engine_is_built_kept_and_found_again(model: Model, tmp_path: Path, precision: Precision) -> None:
    request = EngineRequest(BatchRange(1, 8, 8), precision, tmp_path)
    first = make_engine(TensorRtToolchain(0), model, request)
    again = make_engine(TensorRtToolchain(0), model, request)
    print({key: first.file.report[key] for key in ("level", "build_seconds", "plan_bytes", "accuracy", "layers")})
    assert (first.is_new, again.is_new) == (True, False)
    assert first.file.plan == again.file.plan


def test_recorded_graphs_change_no_bit_and_step_times_are_told(model: Model, tmp_path: Path) -> None:
    settings = BackendSettings(kind=BackendKind.tensorrt, max_slots=32, cache_folder=str(tmp_path))
    results = []
    for uses_graphs in (False, True):
        backend = TensorRtBackend(TensorRtToolchain(0), model, settings, uses_graphs=uses_graphs)
        print(f"graphs: {uses_graphs}, sizes {backend.batch_sizes}")
        for time in backend.warm_up():
            print(f"  batch {time.batch:3}: {time.step_us} us")
        rows = min(5, backend.max_batch)
        slots = [7, 3, 31, 0, 12][:rows]
        windows = [speech_like(model.contract, rows=rows, seed=seed) for seed in range(6)]
        results.append(np.stack([backend.step(window, slots) for window in windows]))
        backend.close()
    assert np.array_equal(*results)
