"""A model on ONNX Runtime's TensorRT provider: TensorRT runs what it can of the graph, CUDA the rest.

State is kept on the GPU as with the CUDA provider. Only the writing of state is left to CUDA's own operator: it writes
in place, into the memory that the step reads, which TensorRT does not promise.

Building an engine takes minutes for a large model. Engines and the timings of kernels are kept in a folder of their own
for each version and size, so that the next start is quick; the provider itself rebuilds what another GPU or another
TensorRT made. This is the second path to TensorRT; the first is engines/backends/tensorrt.
"""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from engines.backends.onnx import Runner
from engines.backends.onnx_cuda import PROVIDER as CUDA_PROVIDER
from engines.backends.onnx_cuda import cuda_options, open_on_device, require_provider
from engines.backends.onnx_pools import Device
from engines.contract import BackendKind
from engines.errors import ModelRejected
from engines.model_files import check_model, find_model_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.backends.onnx import OnnxBackend
    from engines.contract import BackendSettings, ModelContract
    from engines.onnx_session import Providers

PROVIDER = "TensorrtExecutionProvider"
_WORKSPACE_BYTES = 1 << 30


def open_backend(path: Path | str, settings: BackendSettings) -> OnnxBackend:
    """Check a model and set it up on the GPU that the settings name; the first start builds engines.

    Raises:
        ModelRejected: the model's files break the contract, its state cannot be kept on a device, or the folder for
            engines cannot be written.
        RuntimeMissing: this ONNX Runtime has no TensorRT provider, or the provider finds no GPU or no TensorRT.
    """
    require_provider(path, PROVIDER)
    # The wheel with TensorRT's libraries loads them when it is imported; the linker would not find them there.
    with contextlib.suppress(ImportError):
        importlib.import_module("tensorrt_libs")
    contract, model_file = check_model(path), find_model_file(path)
    folder = cache_folder(contract, model_file, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelRejected(str(path), [f"engines cannot be kept in {folder}: {error}"]) from error
    runner = tensorrt_runner(contract, settings, folder)
    return open_on_device(contract, model_file, settings, runner)


def cache_folder(contract: ModelContract, model_file: Path, settings: BackendSettings) -> Path:
    """Give where engines and timings are kept: apart for all that makes another graph."""
    parent = Path(settings.cache_folder) if settings.cache_folder else model_file.parent
    size = f"{settings.max_slots}-slots-{settings.largest_batch}-rows"
    return parent / f"onnx-tensorrt-{contract.version}-{size}"


def tensorrt_runner(contract: ModelContract, settings: BackendSettings, folder: Path) -> Runner:
    """Say how the provider is used. float16 is allowed to TensorRT where the file itself is in float16."""

    def providers(row_shapes: Mapping[str, tuple[int, ...]]) -> Providers:
        options = tensorrt_options(row_shapes, settings, folder=folder, allows_float16=contract.precision == "fp16")
        return (PROVIDER, options), (CUDA_PROVIDER, cuda_options(settings)), "CPUExecutionProvider"

    device = Device("cuda", settings.device_index, is_staged=True)
    return Runner(
        BackendKind.onnx_tensorrt, PROVIDER, providers, device, runs_any_batch=False, lifts_convolutions=False
    )


def tensorrt_options(
    row_shapes: Mapping[str, tuple[int, ...]], settings: BackendSettings, *, folder: Path, allows_float16: bool
) -> dict[str, str]:
    """Give the provider's options (onnxruntime.ai, TensorRT Execution Provider, Configurations)."""
    largest = settings.largest_batch
    return {
        "device_id": str(settings.device_index),
        "trt_max_workspace_size": str(_WORKSPACE_BYTES),
        "trt_fp16_enable": "1" if allows_float16 else "0",
        "trt_layer_norm_fp32_fallback": "1" if allows_float16 else "0",
        "trt_op_types_to_exclude": "ScatterND",
        "trt_profile_min_shapes": _shapes(row_shapes, batch=1),
        "trt_profile_opt_shapes": _shapes(row_shapes, batch=max(1, largest // 2)),
        "trt_profile_max_shapes": _shapes(row_shapes, batch=largest),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }


def _shapes(row_shapes: Mapping[str, tuple[int, ...]], *, batch: int) -> str:
    """Write shapes as `name:1x80x39,other:1`."""
    return ",".join(f"{name}:{'x'.join(map(str, (batch, *shape)))}" for name, shape in row_shapes.items())
