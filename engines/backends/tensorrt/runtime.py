"""A plan in TensorRT's runtime: deserialised, checked against the model, with an execution context for each batch size.

One context for each size, because a recorded graph holds a context's shapes and addresses; contexts of one profile may
be open side by side since TensorRT 10. They share one block of activation memory: steps run one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.backends.tensorrt.library import Complaints
from engines.errors import BackendFailed, ModelRejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engines.backends.tensorrt.api import CudaEngine, ExecutionContext, TensorRt
    from engines.backends.tensorrt.device import Device
    from engines.backends.tensorrt.model_tensors import ModelTensor, ModelTensors

_PROFILE = 0


class TensorRtPlan:
    """Implements `LoadedPlan`."""

    def __init__(self, library: TensorRt, device: Device, plan: bytes, tensors: ModelTensors, *, path: str) -> None:
        """Deserialise a plan for the device that is current; `path` is where it came from.

        Raises:
            ModelRejected: TensorRT refuses it, or its inputs and outputs are not the model's.
            BackendFailed: the device has no room for it.
        """
        self._library = library
        self._device = device
        self._path = path
        self._complaints = Complaints(library)
        self._runtime = library.Runtime(self._complaints.logger)
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ModelRejected(path, [f"TensorRT refuses the plan: {self._complaints.last_errors()}"])
        self._engine: CudaEngine | None = engine
        self._shapes = _checked_tensors(library, engine, tensors, path)
        self._tensors = {tensor.name: tensor for tensor in (*tensors.inputs, *tensors.outputs)}
        self.weights_bytes = engine.get_engine_stat(library.EngineStat.TOTAL_WEIGHTS_SIZE)
        self.activation_bytes = engine.device_memory_size_v2
        self._activations = device.allocate(max(self.activation_bytes, 1))

    def execution(self, batch: int, addresses: Mapping[str, int]) -> TensorRtExecution:
        """See `LoadedPlan.execution`."""
        engine = self._engine
        assert engine is not None
        context = engine.create_execution_context(self._library.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise BackendFailed(f"TensorRT gives no execution context: {self._complaints.last_errors()}")
        context.set_device_memory(self._activations, self.activation_bytes)
        for name, is_input in self._shapes.items():
            if is_input and not context.set_input_shape(name, self._tensors[name].shape(batch)):
                least, _, most = engine.get_tensor_profile_shape(name, _PROFILE)
                mistake = f"the engine takes {name} from {tuple(least)} to {tuple(most)}, not a batch of {batch}"
                raise ModelRejected(self._path, [mistake])
            if not context.set_tensor_address(name, addresses[name]):
                raise BackendFailed(f"TensorRT refuses the memory of {name}: {self._complaints.last_errors()}")
        if unset := context.infer_shapes():
            raise BackendFailed(f"TensorRT still lacks shapes or memory of {', '.join(unset)}")
        return TensorRtExecution(context, self._device.stream, self._complaints)

    def close(self) -> None:
        """See `LoadedPlan.close`: TensorRT frees what nothing refers to; executions are to be let go before."""
        self._engine = None


class TensorRtExecution(NamedTuple):
    """Implements `Execution`."""

    context: ExecutionContext
    stream: int
    complaints: Complaints

    def enqueue(self) -> None:
        if not self.context.execute_async_v3(self.stream):
            raise BackendFailed(f"TensorRT failed in a step: {self.complaints.last_errors()}")


def _checked_tensors(library: TensorRt, engine: CudaEngine, tensors: ModelTensors, path: str) -> dict[str, bool]:
    """Give the plan's own inputs and outputs, and which of them are inputs.

    A plan may lack an input that the model never reads, and the output that nobody reads; it may have no other ones.
    """
    wanted = {tensor.name: (tensor, True) for tensor in tensors.inputs}
    wanted |= {tensor.name: (tensor, False) for tensor in tensors.outputs}
    found: dict[str, bool] = {}
    mistakes: list[str] = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == library.TensorIOMode.INPUT
        if name not in wanted or wanted[name][1] != is_input:
            mistakes.append(f"the plan has an {'input' if is_input else 'output'} {name}, which the model has not")
            continue
        found[name] = is_input
        tensor = wanted[name][0]
        data_type = library.DataType.INT64 if tensor.is_integer else library.DataType.FLOAT
        if engine.get_tensor_dtype(name) != data_type:
            mistakes.append(f"{name} must be {data_type}, not {engine.get_tensor_dtype(name)}")
        if not _is_shape_of(tensor, engine.get_tensor_shape(name)):
            mistakes.append(f"{name} must be {(-1, *tensor.row_shape)}, not {tuple(engine.get_tensor_shape(name))}")
    needed = (tensors.features, tensors.log_probabilities, *(part for state in tensors.states for part in state))
    mistakes.extend(f"the plan lacks {tensor.name}" for tensor in needed if tensor.name not in found)
    if mistakes:
        raise ModelRejected(path, mistakes)
    return found


def _is_shape_of(tensor: ModelTensor, shape: Sequence[int]) -> bool:
    """The batch is open, or fixed by a profile of one size; what the graph leaves open elsewhere may be anything."""
    sizes = tuple(shape)
    if len(sizes) != 1 + len(tensor.row_shape):
        return False
    return all(found in (-1, size) for found, size in zip(sizes[1:], tensor.row_shape, strict=True))
