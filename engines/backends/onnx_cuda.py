"""A model on ONNX Runtime's CUDA provider, with all state on the GPU.

State stays where it is: each step copies features and slot numbers over and log-probabilities back, nothing else.
Batches are filled up to a power of two, so that the libraries see few shapes, and each stream meets few kernels.

The launches of a step can be recorded once for each size and then replayed (CUDA graphs). ONNX Runtime takes only
models for it whose every operator runs on the GPU, and refuses the others when they are loaded.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import onnxruntime

from engines.backends.graphs.model_graph import GraphUnfit
from engines.backends.onnx import Runner, open_pooled
from engines.backends.onnx_pools import Device
from engines.contract import BackendKind
from engines.errors import ModelRejected, RuntimeMissing
from engines.model_files import check_model, find_model_file
from engines.onnx_session import ERRORS_ONLY

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.onnx import OnnxBackend
    from engines.contract import BackendSettings, ModelContract

PROVIDER = "CUDAExecutionProvider"


def open_backend(path: Path | str, settings: BackendSettings) -> OnnxBackend:
    """Check a model and set it up on the GPU that the settings name.

    Raises:
        ModelRejected: the model's files break the contract, or its state cannot be kept on a device.
        RuntimeMissing: this ONNX Runtime has no CUDA provider, or the provider finds no GPU.
    """
    require_provider(path, PROVIDER)
    contract, model_file = check_model(path), find_model_file(path)
    return open_on_device(contract, model_file, settings, cuda_runner(settings))


def cuda_runner(settings: BackendSettings, *, records_launches: bool = False) -> Runner:
    """Say how the provider is used; `records_launches` asks for CUDA graphs."""
    return Runner(
        BackendKind.onnx_cuda,
        PROVIDER,
        lambda _: ((PROVIDER, cuda_options(settings, records_launches=records_launches)), "CPUExecutionProvider"),
        Device("cuda", settings.device_index, is_staged=True),
        runs_any_batch=False,
        lifts_convolutions=False,
        records_launches=records_launches,
    )


def cuda_options(settings: BackendSettings, *, records_launches: bool = False) -> dict[str, str]:
    """Give the provider's options, by the names that ONNX Runtime's cuda_execution_provider_info.cc reads."""
    return {
        "device_id": str(settings.device_index),
        # TF32 rounds the factors of float32 products to 10 bits: words would differ from the CPU's.
        "use_tf32": "0",
        # Trying kernels out at run time may choose another one at the next start.
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if records_launches else "0",
    }


def require_provider(path: Path | str, provider: str) -> None:
    """Make a provider ready to be loaded; raises RuntimeMissing where ONNX Runtime was built without it."""
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise RuntimeMissing(
            str(path),
            [
                f"this onnxruntime has no {provider}, only {', '.join(available)}: install onnxruntime-gpu in its "
                "place (the extra `gpu`; the two cannot be installed together)"
            ],
        )
    load_cuda_libraries()


def load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels, where they are installed; a build without CUDA looks for none.

    The provider's library names them without a path, and the linker does not look among Python's packages. What is not
    there is said when the provider is loaded.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        onnxruntime.preload_dlls()
    # A session's own level does not reach what it warns of before there is a session, once for each pool.
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)


def open_on_device(contract: ModelContract, model_file: Path, settings: BackendSettings, runner: Runner) -> OnnxBackend:
    """Set a model up with its state on a device; raises as `open_backend` does."""
    try:
        return open_pooled(contract, model_file, settings, runner)
    except GraphUnfit as error:
        raise ModelRejected(str(model_file), [f"its state cannot be kept on a device: {error}"]) from error
