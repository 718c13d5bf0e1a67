"""Slots on a real GPU keep the contract of a backend, with ONNX Runtime's CUDA provider in the place of TensorRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.backends.guarded import GuardedBackend
from engines.backends.onnx import open_plain
from engines.backends.onnx_cuda import load_cuda_libraries
from engines.backends.tensorrt.backend import TensorRtBackend
from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.half_precision import Precision
from engines.backends.tensorrt.making import EngineRequest, Model, make_engine
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case
from tests.contracts.model_variants import EMBEDDED_MODEL, Reference
from tests.gpu.onnx_plans import OnnxPlanToolchain

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend

pytestmark = pytest.mark.gpu

TOLERANCE = 5e-3


@pytest.fixture(scope="module")
def model() -> Model:
    load_cuda_libraries()
    return Model(check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL))


class TestSlotsOnCuda(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Case:
        cache = str(tmp_path_factory.mktemp("engines"))

        def on_gpu(chosen: BackendSettings) -> Backend:
            placed = msgspec.structs.replace(chosen, cache_folder=cache)
            return GuardedBackend(TensorRtBackend(OnnxPlanToolchain(), model, placed, uses_graphs=False))

        def on_cpu(chosen: BackendSettings) -> Backend:
            return open_plain(model.contract, model.file, chosen)

        return Case(BackendKind.tensorrt, on_gpu, Reference(model.file).rows, on_cpu, TOLERANCE, model_file=model.file)


@pytest.mark.parametrize("precision", list(Precision))
def test_an_engine_is_measured_on_the_gpu_kept_and_found_again(
    model: Model, tmp_path: Path, precision: Precision
) -> None:
    request = EngineRequest(BatchRange(1, 8, 8), precision, tmp_path)
    first = make_engine(OnnxPlanToolchain(), model, request)
    print({key: first.file.report[key] for key in ("level", "accuracy", "half_count", "rejected_levels")})
    assert (first.is_new, make_engine(OnnxPlanToolchain(), model, request).is_new) == (True, False)
