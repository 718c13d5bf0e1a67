"""The part of TensorRT's Python API that Patchbay calls, as protocols: NVIDIA's wheels carry no type signatures.

These must stay true: whatever is called of TensorRT is declared here, with the names of its parameters. A test holds
every name against what the bindings of TensorRT 10.14 to 11.4 say of themselves (signatures.json beside that test).

Networks are strongly typed: TensorRT 11 knows no others, and has neither precision flags nor precisions of layers
(docs.nvidia.com/deeplearning/tensorrt, "Migrating from TensorRT 10.x to 11.x"). So precision is written into the graph
before it is parsed (half_precision.py), which TensorRT 10 takes as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

# Members of TensorRT's enumerations: compared and passed back, never looked into.
Flag = Any
DataType = Any


class HostMemory(Protocol):
    """Memory that TensorRT owns; it offers the buffer protocol."""

    @property
    def nbytes(self) -> int: ...

    def __buffer__(self, flags: int, /) -> memoryview: ...


class Tensor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Sequence[int]:
        """-1 where the size is open."""


class Network(Protocol):
    @property
    def num_inputs(self) -> int: ...

    @property
    def num_layers(self) -> int: ...

    def get_input(self, index: int) -> Tensor: ...


class OptimizationProfile(Protocol):
    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None: ...


class TimingCache(Protocol):
    def serialize(self) -> HostMemory: ...


class BuilderConfig(Protocol):
    progress_monitor: Any
    profiling_verbosity: Flag

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        """-1: the profile is invalid."""

    def set_flag(self, flag: Flag) -> None: ...

    def clear_flag(self, flag: Flag) -> None: ...

    def set_memory_pool_limit(self, pool: Flag, pool_size: int) -> None: ...

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache: ...

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool: ...


class Builder(Protocol):
    def create_network(self, flags: int) -> Network: ...

    def create_builder_config(self) -> BuilderConfig: ...

    def create_optimization_profile(self) -> OptimizationProfile: ...

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> HostMemory | None:
        """None: the build failed; the logger was told why."""


class ParserError(Protocol):
    def desc(self) -> str: ...

    def node_operator(self) -> str: ...

    def node_name(self) -> str: ...


class OnnxParser(Protocol):
    @property
    def num_errors(self) -> int: ...

    def parse(self, model: bytes, path: str) -> bool:
        """`path` is where the model lies: external weights are sought beside it."""

    def get_error(self, index: int) -> ParserError: ...


class ExecutionContext(Protocol):
    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...

    def set_tensor_address(self, name: str, memory: int) -> bool: ...

    def set_device_memory(self, memory: int, size: int) -> None: ...

    def infer_shapes(self) -> list[str]:
        """Names the tensors that are still without a shape or address."""

    def execute_async_v3(self, stream_handle: int) -> bool: ...


class EngineInspector(Protocol):
    def get_engine_information(self, format: Flag) -> str: ...


class CudaEngine(Protocol):
    @property
    def num_io_tensors(self) -> int: ...

    @property
    def num_layers(self) -> int: ...

    @property
    def device_memory_size_v2(self) -> int: ...

    def get_tensor_name(self, index: int) -> str: ...

    def get_tensor_mode(self, name: str) -> Flag: ...

    def get_tensor_dtype(self, name: str) -> DataType: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Sequence[int]]:
        """The least, the best and the largest shape."""

    def create_execution_context(self, strategy: Flag) -> ExecutionContext | None: ...

    def create_engine_inspector(self) -> EngineInspector: ...

    def get_engine_stat(self, stat: Flag) -> int: ...


class Runtime(Protocol):
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None: ...


class TensorRt(Protocol):
    """The module `tensorrt`. Classes are given as what their calls return."""

    __version__: str

    ILogger: Any
    """To be subclassed: `log(severity, msg)`; has `Severity`."""
    IProgressMonitor: Any
    """To be subclassed: `phase_start(phase_name, parent_phase, num_steps)`, `step_complete(phase_name, step)`,
    `phase_finish(phase_name)`. Called from threads of TensorRT's own."""
    BuilderFlag: Any
    DataType: Any
    EngineStat: Any
    ExecutionContextAllocationStrategy: Any
    LayerInformationFormat: Any
    MemoryPoolType: Any
    NetworkDefinitionCreationFlag: Any
    ProfilingVerbosity: Any
    TensorIOMode: Any

    def Builder(self, logger: Any) -> Builder: ...

    def OnnxParser(self, network: Network, logger: Any) -> OnnxParser: ...

    def Runtime(self, logger: Any) -> Runtime: ...


MEMBERS: dict[str, tuple[str, ...]] = {
    "BuilderFlag": ("TF32", "DISTRIBUTIVE_INDEPENDENCE"),
    "DataType": ("FLOAT", "INT64"),
    "EngineStat": ("TOTAL_WEIGHTS_SIZE",),
    "ExecutionContextAllocationStrategy": ("USER_MANAGED",),
    "LayerInformationFormat": ("JSON",),
    "MemoryPoolType": ("WORKSPACE",),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "ProfilingVerbosity": ("DETAILED",),
    "TensorIOMode": ("INPUT", "OUTPUT"),
}
"""The members that Patchbay uses of each enumeration."""
