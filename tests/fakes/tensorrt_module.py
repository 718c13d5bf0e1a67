"""A stand-in for the module `tensorrt`: builds the ONNX bytes into a plan that is those bytes, and runs nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Severity:
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


class ILogger:
    Severity = Severity


class Context:
    def __init__(self, most: int) -> None:
        self.most = most
        self.addresses: dict[str, int] = {}
        self.runs: list[int] = []
        self.fails = False

    def set_device_memory(self, memory: int, size: int) -> None: ...

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return shape[0] <= self.most

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def infer_shapes(self) -> list[str]:
        return []

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.runs.append(stream_handle)
        return not self.fails


class Engine:
    device_memory_size_v2 = 512

    def __init__(self, tensors: list[tuple[str, bool, str, tuple[int, ...]]], most: int = 8) -> None:
        self._tensors = {name: (is_input, kind, shape) for name, is_input, kind, shape in tensors}
        self.num_io_tensors = len(tensors)
        self.most = most
        self.contexts: list[Context] = []

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if self._tensors[name][0] else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return self._tensors[name][1]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name][2]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        return [(1,), (self.most,), (self.most,)]

    def create_execution_context(self, strategy: Any) -> Context:
        self.contexts.append(Context(self.most))
        return self.contexts[-1]

    def get_engine_stat(self, stat: Any) -> int:
        return 1_000

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda _format: '{"Layers": ["a", "b"]}')


class Config:
    def __init__(self) -> None:
        self.flags: dict[str, bool] = {}
        self.caches: list[bytes] = []

    def set_flag(self, flag: str) -> None:
        self.flags[flag] = True

    def clear_flag(self, flag: str) -> None:
        self.flags[flag] = False

    def set_memory_pool_limit(self, pool: str, pool_size: int) -> None:
        self.workspace = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        self.shapes = profile.shapes
        return 0

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        self.caches.append(serialized_timing_cache)
        return SimpleNamespace(serialize=lambda: serialized_timing_cache + b"+")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        return not cache.serialize().startswith(b"foreign")


class FakeTensorRt:
    """`engine` is what every plan deserialises to, None for a refusal; `builds` says whether a build succeeds."""

    def __init__(self, *, version: str = "11.4.0.106", engine: Engine | None = None, builds: bool = True) -> None:
        self.__version__ = version
        self.engine = engine
        self.builds = builds
        self.parses = True
        self.config = Config()
        self.ILogger = ILogger
        self.IProgressMonitor = object
        self.BuilderFlag = SimpleNamespace(TF32="TF32", DISTRIBUTIVE_INDEPENDENCE="DISTRIBUTIVE_INDEPENDENCE")
        self.DataType = SimpleNamespace(FLOAT="float", INT64="int64")
        self.EngineStat = SimpleNamespace(TOTAL_WEIGHTS_SIZE=0)
        self.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)
        self.LayerInformationFormat = SimpleNamespace(JSON=1)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.ProfilingVerbosity = SimpleNamespace(DETAILED=2)
        self.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        def build(network: Any, config: Config) -> bytes | None:
            monitor = getattr(config, "progress_monitor", None)
            if monitor is not None:
                monitor.phase_start("building", None, 2)
                monitor.step_complete("building", 0)
                monitor.phase_finish("building")
            if not self.builds:
                logger.log(Severity.ERROR, "no tactic  was found")
                return None
            return b"plan of " + network.onnx

        profile = SimpleNamespace(shapes={})
        profile.set_shape = lambda name, *sizes: profile.shapes.update({name: sizes})
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(flags=flags, num_layers=3),
            create_builder_config=lambda: self.config,
            create_optimization_profile=lambda: profile,
            build_serialized_network=build,
        )

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802
        def parse(model: bytes, path: str) -> bool:
            network.onnx = model
            return self.parses

        error = SimpleNamespace(desc=lambda: "no such operator", node_operator=lambda: "Foo", node_name=lambda: "/foo")
        return SimpleNamespace(parse=parse, num_errors=1, get_error=lambda _index: error)

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=lambda _plan: self.engine)
