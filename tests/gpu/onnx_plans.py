"""Plans that ONNX Runtime's CUDA provider runs, in the device's stream and at the addresses that TensorRT would get.

So slots, kernels, recorded graphs, batch sizes and engine files run on a GPU that has no TensorRT: everything of the
backend `tensorrt` but TensorRT itself. Implements `Toolchain`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnxruntime

from engines.backends.onnx_cuda import PROVIDER, cuda_options
from engines.backends.tensorrt.builder import Plan
from engines.backends.tensorrt.cuda_device import CudaDevice
from engines.backends.tensorrt.engine_files import Machine
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed
from engines.onnx_session import RUNTIME_ERRORS, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engines.backends.tensorrt.builder import BuildOptions
    from engines.backends.tensorrt.device import Device
    from engines.backends.tensorrt.model_tensors import ModelTensors

_SETTINGS = BackendSettings(kind=BackendKind.tensorrt)


class OnnxExecution(NamedTuple):
    session: onnxruntime.InferenceSession
    binding: onnxruntime.IOBinding
    options: onnxruntime.RunOptions

    def enqueue(self) -> None:
        try:
            self.session.run_with_iobinding(self.binding, self.options)
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"ONNX Runtime failed: {error}") from error


class OnnxPlan:
    activation_bytes = 0

    def __init__(self, device: Device, onnx: bytes, tensors: ModelTensors) -> None:
        self.weights_bytes = len(onnx)
        self._tensors = tensors
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        options = cuda_options(_SETTINGS) | {"user_compute_stream": str(device.stream)}
        self._session = open_session(onnx, threads=1, providers=((PROVIDER, options), "CPUExecutionProvider"))

    def execution(self, batch: int, addresses: Mapping[str, int]) -> OnnxExecution:
        binding = self._session.io_binding()
        for bind, group in (
            (binding.bind_input, self._tensors.inputs),
            (binding.bind_output, self._tensors.outputs),
        ):
            for tensor in group:
                kind = np.int64 if tensor.is_integer else np.float32
                bind(tensor.name, "cuda", 0, kind, tensor.shape(batch), addresses[tensor.name])
        return OnnxExecution(self._session, binding, self._options)

    def close(self) -> None:
        pass


class OnnxPlanToolchain:
    """Every plan is the ONNX file, in whatever precision was asked for."""

    def __init__(self) -> None:
        with contextlib.closing(CudaDevice(0)) as device:
            gpu, capability = device.name
        self.machine = Machine(
            gpu=gpu, compute_capability=capability, tensorrt=f"onnxruntime {onnxruntime.__version__}"
        )

    def open_device(self) -> CudaDevice:
        return CudaDevice(0)

    def build(self, onnx: bytes, tensors: ModelTensors, *, model_file: Path, options: BuildOptions) -> Plan:
        del tensors, model_file, options
        return Plan(onnx, b"none", 0.0, 0, ())

    def load(self, device: Device, plan: bytes, tensors: ModelTensors, *, path: str) -> OnnxPlan:
        del path
        return OnnxPlan(device, plan, tensors)

    def describe(self, plan: bytes) -> str:
        del plan
        return ""
