"""What ONNX Runtime's TensorRT provider is told: profiles over the batch, where engines lie, what stays with CUDA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx_tensorrt import PROVIDER, cache_folder, tensorrt_options, tensorrt_runner
from engines.backends.scripted import CONTRACT
from engines.contract import BackendKind, BackendSettings
from engines.errors import RuntimeMissing

pytestmark = pytest.mark.unit

SETTINGS = BackendSettings(kind=BackendKind.onnx_tensorrt, max_slots=64, max_batch=32, device_index=1)
ROWS = {"signal": (80, 39), "length": ()}


def options(**changes: Any) -> dict[str, str]:
    return tensorrt_options(ROWS, SETTINGS, **{"folder": Path("cache"), "allows_float16": False, **changes})


def test_profiles_reach_from_one_row_to_the_largest_batch() -> None:
    found = options()
    assert found["trt_profile_min_shapes"] == "signal:1x80x39,length:1"
    assert found["trt_profile_opt_shapes"] == "signal:16x80x39,length:16"
    assert found["trt_profile_max_shapes"] == "signal:32x80x39,length:32"


def test_float16_is_the_files_choice() -> None:
    assert options()["trt_fp16_enable"] == "0"
    half = msgspec.structs.replace(CONTRACT, precision="fp16")
    (_, told), *_ = tensorrt_runner(half, SETTINGS, Path("cache")).providers(ROWS)
    assert (told["trt_fp16_enable"], told["trt_layer_norm_fp32_fallback"]) == ("1", "1")


def test_state_is_written_by_cuda_and_falls_back_in_order() -> None:
    assert options()["trt_op_types_to_exclude"] == "ScatterND"
    names = [
        given if isinstance(given, str) else given[0]
        for given in tensorrt_runner(CONTRACT, SETTINGS, Path()).providers(ROWS)
    ]
    assert names == [PROVIDER, "CUDAExecutionProvider", "CPUExecutionProvider"]


def test_engines_are_kept_apart_by_version_and_size() -> None:
    model_file = Path("models/toy/model.onnx")
    beside = cache_folder(CONTRACT, model_file, SETTINGS)
    assert beside.parent == model_file.parent
    elsewhere = msgspec.structs.replace(SETTINGS, cache_folder="/var/cache/engines")
    assert cache_folder(CONTRACT, model_file, elsewhere).parent == Path("/var/cache/engines")
    others = [
        cache_folder(msgspec.structs.replace(CONTRACT, version="other"), model_file, SETTINGS),
        cache_folder(CONTRACT, model_file, msgspec.structs.replace(SETTINGS, max_slots=65)),
        cache_folder(CONTRACT, model_file, msgspec.structs.replace(SETTINGS, max_batch=16)),
    ]
    assert len({beside, *others}) == 4
    assert options()["trt_engine_cache_path"] == options()["trt_timing_cache_path"] == "cache"


def test_without_the_provider_nothing_is_loaded(tmp_path: Path) -> None:
    if PROVIDER not in onnxruntime.get_available_providers():
        with pytest.raises(RuntimeMissing):
            load_backend(tmp_path / "not even looked for", SETTINGS)


def test_a_runner_is_told_apart_from_cudas() -> None:
    runner = tensorrt_runner(CONTRACT, SETTINGS, Path())
    assert (runner.kind, str(runner.device)) == (BackendKind.onnx_tensorrt, "cuda:1")
    assert not replace(runner, records_launches=True).runs_any_batch
