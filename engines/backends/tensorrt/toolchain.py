"""What builds and loads engines on one GPU: TensorRT and CUDA behind four calls, so that the rest is tested without.

Tests bring one whose plans are ONNX files, run by ONNX Runtime over host memory (tests/fakes/host_toolchain.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engines.backends.tensorrt.builder import build_plan, layers_described
from engines.backends.tensorrt.cuda_device import CudaDevice
from engines.backends.tensorrt.engine_files import Machine
from engines.backends.tensorrt.library import load_tensorrt
from engines.backends.tensorrt.readiness import readiness
from engines.backends.tensorrt.runtime import TensorRtPlan
from engines.errors import RuntimeMissing

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.builder import BuildOptions, Plan
    from engines.backends.tensorrt.device import Device
    from engines.backends.tensorrt.execution import LoadedPlan
    from engines.backends.tensorrt.model_tensors import ModelTensors


class Toolchain(Protocol):
    machine: Machine

    def open_device(self) -> Device:
        """Open the GPU afresh; whoever asks closes it.

        Raises:
            BackendFailed: the driver refused.
        """

    def build(self, onnx: bytes, tensors: ModelTensors, *, model_file: Path, options: BuildOptions) -> Plan:
        """See `build_plan`."""

    def load(self, device: Device, plan: bytes, tensors: ModelTensors, *, path: str) -> LoadedPlan:
        """Set a plan up on a device that is current.

        Raises:
            ModelRejected: the plan is refused.
            BackendFailed: the device refused.
        """

    def describe(self, plan: bytes) -> str:
        """Give the engine inspector's JSON about a plan's layers."""


class TensorRtToolchain:
    """Implements `Toolchain` on a real GPU."""

    def __init__(self, device_index: int) -> None:
        """Find everything.

        Raises:
            RuntimeMissing: it names all that is missing at once.
            BackendFailed: the driver refused.
        """
        if missing := readiness().missing:
            raise RuntimeMissing("tensorrt", list(missing))
        self._library = load_tensorrt()
        self._device_index = device_index
        device = self.open_device()
        name = device.name
        device.close()
        self.machine = Machine(
            gpu=name.gpu, compute_capability=name.compute_capability, tensorrt=self._library.__version__
        )

    def open_device(self) -> CudaDevice:
        return CudaDevice(self._device_index)

    def build(self, onnx: bytes, tensors: ModelTensors, *, model_file: Path, options: BuildOptions) -> Plan:
        # The builder times tactics on the device that is current in this thread.
        device = self.open_device()
        try:
            return build_plan(self._library, onnx, tensors, model_file=model_file, options=options)
        finally:
            device.close()

    def load(self, device: Device, plan: bytes, tensors: ModelTensors, *, path: str) -> TensorRtPlan:
        return TensorRtPlan(self._library, device, plan, tensors, path=path)

    def describe(self, plan: bytes) -> str:
        return layers_described(self._library, plan)
