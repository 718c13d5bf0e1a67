"""One NVIDIA GPU through cuda-bindings: implements `Device` over its primary context, with one stream of its own."""

from __future__ import annotations

import ctypes
import importlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from engines.backends.tensorrt.device import DeviceName, HostBlock
from engines.backends.tensorrt.row_kernels import BLOCK_THREADS, KERNELS, SOURCE, blocks_per_row, kernel_for
from engines.errors import BackendFailed, EngineError, RuntimeMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.backends.tensorrt.cuda_api import CudaDriver, CudaRuntime, Nvrtc, Result

HOW_TO_INSTALL = "pip install 'patchbay[gpu]', see docs/engines.md"
_KERNEL_TYPES = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong)


class Cuda:
    """The three modules of cuda-bindings, and their error codes turned into exceptions."""

    def __init__(self) -> None:
        """Import them.

        Raises:
            RuntimeMissing: cuda-bindings is not installed.
        """
        try:
            self.runtime = cast("CudaRuntime", importlib.import_module("cuda.bindings.runtime"))
            self.driver = cast("CudaDriver", importlib.import_module("cuda.bindings.driver"))
            self.nvrtc = cast("Nvrtc", importlib.import_module("cuda.bindings.nvrtc"))
        except ImportError as error:
            raise RuntimeMissing("cuda", [f"cuda-bindings cannot be imported ({error}): {HOW_TO_INSTALL}"]) from error

    def checked(self, result: Result) -> Any:
        """Give what a call of the runtime gave beside its error code: nothing, one value, or a tuple.

        Raises:
            BackendFailed: the code is an error.
        """
        code, *values = result
        if int(code):
            name = _text(self.runtime.cudaGetErrorName(code)[1])
            what = _text(self.runtime.cudaGetErrorString(code)[1])
            raise BackendFailed(f"CUDA failed with {name}: {what}")
        return values[0] if len(values) == 1 else tuple(values)

    def checked_driver(self, result: Result) -> Any:
        """As `checked`, for the driver."""
        code, *values = result
        if int(code):
            raise BackendFailed(f"the CUDA driver failed with {_text(self.driver.cuGetErrorName(code)[1])}")
        return values[0] if len(values) == 1 else tuple(values)

    def device_count(self) -> int:
        """How many GPUs there are.

        Raises:
            RuntimeMissing: no driver, one that is too old, or no GPU.
        """
        try:
            count = int(self.checked(self.runtime.cudaGetDeviceCount()))
        except (BackendFailed, RuntimeError) as error:  # RuntimeError: the driver's library cannot be loaded
            raise RuntimeMissing("cuda", [f"no NVIDIA GPU with a driver for it was found: {error}"]) from error
        if not count:
            raise RuntimeMissing("cuda", ["the NVIDIA driver finds no GPU"])
        return count

    def check_compiler(self) -> None:
        """Look for NVRTC's library.

        Raises:
            RuntimeMissing: it is not installed.
        """
        try:
            self.nvrtc.nvrtcVersion()
        except RuntimeError as error:  # the library is loaded at the first call
            what = " ".join(str(error).split())
            raise RuntimeMissing("cuda", [f"NVRTC cannot be loaded ({what}): {HOW_TO_INSTALL}"]) from error

    def versions(self) -> tuple[str, str]:
        """The newest CUDA that the driver takes, and the one of the bindings, like 13.0; 0.0 without a driver."""
        return tuple(  # type: ignore[return-value]
            f"{number // 1000}.{number % 1000 // 10}"
            for number in (
                int(self.checked(self.runtime.cudaDriverGetVersion())),
                int(self.checked(self.runtime.cudaRuntimeGetVersion())),
            )
        )


class CudaDevice:
    """Implements `Device`. Opening it allocates nothing but the context, the stream and the kernels."""

    def __init__(self, index: int) -> None:
        """Open the GPU of this number.

        Raises:
            RuntimeMissing: a library, the driver or the GPU is missing.
            BackendFailed: the driver refused.
        """
        self._cuda = cuda = Cuda()
        count = cuda.device_count()
        cuda.check_compiler()
        if index >= count:
            raise RuntimeMissing("cuda", [f"GPU {index} was asked for, there are {count}, counted from 0"])
        self.index = index
        self._is_closed = False
        self._device_blocks: list[int] = []
        self._host_blocks: list[int] = []
        self._graphs: list[_CudaGraph] = []
        self.make_current()
        facts = cuda.checked(cuda.runtime.cudaGetDeviceProperties(index))
        self.name = DeviceName(_text(facts.name).rstrip("\0"), f"{facts.major}.{facts.minor}")
        self._stream = cuda.checked(cuda.runtime.cudaStreamCreateWithFlags(cuda.runtime.cudaStreamNonBlocking))
        self.stream = int(self._stream)
        self._module: Any = None
        try:
            self._kernels = self._load_kernels(f"sm_{facts.major}{facts.minor}")
        except EngineError:
            self.close()
            raise

    def make_current(self) -> None:
        self._cuda.checked(self._cuda.runtime.cudaSetDevice(self.index))

    def allocate(self, size_bytes: int) -> int:
        address = int(self._cuda.checked(self._cuda.runtime.cudaMalloc(size_bytes)))
        self._device_blocks.append(address)
        self.zero(address, size_bytes)
        return address

    def allocate_host(self, size_bytes: int) -> HostBlock:
        runtime = self._cuda.runtime
        address = int(self._cuda.checked(runtime.cudaHostAlloc(size_bytes, runtime.cudaHostAllocDefault)))
        self._host_blocks.append(address)
        content = np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(address))
        content[:] = 0
        return HostBlock(address, content)

    def zero(self, address: int, size_bytes: int) -> None:
        self._cuda.checked(self._cuda.runtime.cudaMemsetAsync(address, 0, size_bytes, self._stream))

    def upload(self, to: int, host: int, size_bytes: int) -> None:
        runtime = self._cuda.runtime
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._cuda.checked(runtime.cudaMemcpyAsync(to, host, size_bytes, kind, self._stream))

    def download(self, host: int, source: int, size_bytes: int) -> None:
        runtime = self._cuda.runtime
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._cuda.checked(runtime.cudaMemcpyAsync(host, source, size_bytes, kind, self._stream))

    def gather(self, to: int, pool: int, slots: int, *, rows: int, row_bytes: int) -> None:
        self._launch("gather", to, pool, slots, rows=rows, row_bytes=row_bytes)

    def scatter(self, pool: int, source: int, slots: int, *, rows: int, row_bytes: int) -> None:
        self._launch("scatter", pool, source, slots, rows=rows, row_bytes=row_bytes)

    def record(self, work: Callable[[], None]) -> _CudaGraph:
        runtime = self._cuda.runtime
        # thread-local: another thread may allocate meanwhile, for another model.
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda.checked(runtime.cudaStreamBeginCapture(self._stream, mode))
        try:
            work()
        except BaseException:
            runtime.cudaStreamEndCapture(self._stream)  # the stream is unusable until the capture is ended
            raise
        graph = self._cuda.checked(runtime.cudaStreamEndCapture(self._stream))
        try:
            executable = self._cuda.checked(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            runtime.cudaGraphDestroy(graph)
        recorded = _CudaGraph(self._cuda, executable, self._stream)
        self._graphs.append(recorded)
        return recorded

    def synchronise(self) -> None:
        self._cuda.checked(self._cuda.runtime.cudaStreamSynchronize(self._stream))

    def close(self) -> None:
        """Errors are passed over: after a failure of the driver everything it is asked fails."""
        if self._is_closed:
            return
        self._is_closed = True
        runtime = self._cuda.runtime
        runtime.cudaSetDevice(self.index)
        runtime.cudaStreamSynchronize(self._stream)
        for graph in self._graphs:
            runtime.cudaGraphExecDestroy(graph.executable)
        for address in self._device_blocks:
            runtime.cudaFree(address)
        for address in self._host_blocks:
            runtime.cudaFreeHost(address)
        if self._module is not None:
            self._cuda.driver.cuModuleUnload(self._module)
        runtime.cudaStreamDestroy(self._stream)

    def _load_kernels(self, architecture: str) -> dict[str, Any]:
        driver = self._cuda.driver
        self._module = self._cuda.checked_driver(driver.cuModuleLoadData(compiled(self._cuda.nvrtc, architecture)))
        return {
            name: self._cuda.checked_driver(driver.cuModuleGetFunction(self._module, name.encode())) for name in KERNELS
        }

    def _launch(self, direction: str, to: int, source: int, slots: int, *, rows: int, row_bytes: int) -> None:
        name, words = kernel_for(direction, row_bytes=row_bytes)
        launched = self._cuda.driver.cuLaunchKernel(
            *(self._kernels[name], blocks_per_row(words), rows, 1, BLOCK_THREADS, 1, 1, 0, self._stream),
            ((to, source, slots, words), _KERNEL_TYPES),
            0,
        )
        self._cuda.checked_driver(launched)


class _CudaGraph:
    """Implements `Graph`; the device destroys it."""

    def __init__(self, cuda: Cuda, executable: Any, stream: Any) -> None:
        self.executable = executable
        self._cuda = cuda
        self._stream = stream

    def launch(self) -> None:
        self._cuda.checked(self._cuda.runtime.cudaGraphLaunch(self.executable, self._stream))


def compiled(nvrtc: Nvrtc, architecture: str) -> bytes:
    """Compile the kernels; `architecture` is like sm_90.

    Raises:
        BackendFailed: NVRTC does not know this GPU, or refused.
    """
    code, program = nvrtc.nvrtcCreateProgram(SOURCE.encode(), b"row_kernels.cu", 0, None, None)
    _check_nvrtc(nvrtc, code)
    try:
        (code,) = nvrtc.nvrtcCompileProgram(program, 1, [f"--gpu-architecture={architecture}".encode()])
        if int(code):
            log = b" " * int(nvrtc.nvrtcGetProgramLogSize(program)[1])
            nvrtc.nvrtcGetProgramLog(program, log)
            raise BackendFailed(f"NVRTC cannot compile for {architecture}: {_text(log)[:500]}")
        cubin = b" " * int(nvrtc.nvrtcGetCUBINSize(program)[1])
        (code,) = nvrtc.nvrtcGetCUBIN(program, cubin)
        _check_nvrtc(nvrtc, code)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return cubin


def _check_nvrtc(nvrtc: Nvrtc, code: Any) -> None:
    if int(code):
        raise BackendFailed(f"NVRTC failed: {_text(nvrtc.nvrtcGetErrorString(code)[1])}")


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
