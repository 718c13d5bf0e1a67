"""A toolchain whose plans are ONNX files, run by ONNX Runtime over host memory: implements `Toolchain`.

So everything around TensorRT runs for real: files, precision, slots, batch sizes, graphs, the comparison with the CPU.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.backends.tensorrt.builder import Plan
from engines.backends.tensorrt.engine_files import Machine
from engines.errors import BackendFailed, ModelRejected
from engines.onnx_session import RUNTIME_ERRORS, open_session
from tests.fakes.host_device import HostDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from engines.backends.tensorrt.builder import BuildOptions
    from engines.backends.tensorrt.model_tensors import ModelTensor, ModelTensors

    Distortion = Callable[[np.ndarray, int], np.ndarray]
    """Changes the log-probabilities of a run at a batch size, as a worse runtime would."""


class HostExecution:
    def __init__(self, plan: HostPlan, batch: int, addresses: Mapping[str, int]) -> None:
        self._plan = plan
        self._batch = batch
        self._addresses = addresses

    def enqueue(self) -> None:
        self._plan.device.submit(self._run)

    def _run(self) -> None:
        tensors = self._plan.tensors
        inputs = {tensor.name: self._array(tensor) for tensor in tensors.inputs}
        names = [tensor.name for tensor in tensors.outputs]
        try:
            outputs = self._plan.session.run(names, inputs)
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"ONNX Runtime failed: {error}") from error
        outputs[0] = self._plan.distortion(outputs[0], self._batch)
        for tensor, output in zip(tensors.outputs, outputs, strict=True):
            self._array(tensor)[...] = output

    def _array(self, tensor: ModelTensor) -> Any:
        memory = self._plan.device.view(self._addresses[tensor.name], self._batch * tensor.row_bytes)
        return memory.view(np.int64 if tensor.is_integer else np.float32).reshape(tensor.shape(self._batch))


class HostPlan:
    activation_bytes = 0

    def __init__(self, device: HostDevice, onnx: bytes, tensors: ModelTensors, distortion: Distortion) -> None:
        self.device = device
        self.tensors = tensors
        self.distortion = distortion
        self.weights_bytes = len(onnx)
        self.session = open_session(onnx, threads=1)

    def execution(self, batch: int, addresses: Mapping[str, int]) -> HostExecution:
        return HostExecution(self, batch, addresses)

    def close(self) -> None:
        pass


class HostToolchain:
    """`distortion` is what every plan does to its results; `builds` and `devices` count what was asked for."""

    def __init__(self, *, gpu: str = "host memory", tensorrt: str = "11.4.0.106", distortion: Distortion | None = None):
        self.machine = Machine(gpu=gpu, compute_capability="0.0", tensorrt=tensorrt)
        self.distortion = distortion or (lambda rows, _batch: rows)
        self.builds: list[BuildOptions] = []
        self.devices: list[HostDevice] = []

    def open_device(self) -> HostDevice:
        self.devices.append(HostDevice())
        return self.devices[-1]

    def build(self, onnx: bytes, tensors: ModelTensors, *, model_file: Path, options: BuildOptions) -> Plan:
        del tensors
        try:
            open_session(onnx, threads=1)
        except RUNTIME_ERRORS as error:
            raise ModelRejected(str(model_file), [f"it cannot be built: {error}"]) from error
        self.builds.append(options)
        if options.progress is not None:
            options.progress.started("building", None, 1)
            options.progress.step_done("building", 0)
            options.progress.finished("building")
        return Plan(onnx, options.timing_cache + b"t", 0.25, 7, ())

    def load(self, device: HostDevice, plan: bytes, tensors: ModelTensors, *, path: str) -> HostPlan:
        try:
            return HostPlan(device, plan, tensors, self.distortion)
        except RUNTIME_ERRORS as error:
            raise ModelRejected(path, [f"the plan is refused: {error}"]) from error

    def describe(self, plan: bytes) -> str:
        del plan
        return json.dumps({"Layers": [{"Name": "all", "LayerType": "host", "TacticName": "onnxruntime"}]})
