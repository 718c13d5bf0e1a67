"""The part of cuda-bindings that Patchbay calls, as protocols: its wheels carry no type signatures.

Every function gives a tuple whose first member is the error code. A test holds the names of the parameters against the
installed bindings (`inspect.signature` reads them). Source of what the calls do: docs.nvidia.com/cuda/cuda-runtime-api,
cuda-driver-api and nvrtc.
"""

from __future__ import annotations

from typing import Any, Protocol

Result = tuple[Any, ...]


class CudaRuntime(Protocol):
    """The module `cuda.bindings.runtime`."""

    cudaMemcpyKind: Any
    cudaStreamCaptureMode: Any
    cudaHostAllocDefault: int
    cudaStreamNonBlocking: int

    def cudaGetErrorName(self, error: Any) -> Result: ...

    def cudaGetErrorString(self, error: Any) -> Result: ...

    def cudaDriverGetVersion(self) -> Result: ...

    def cudaRuntimeGetVersion(self) -> Result: ...

    def cudaGetDeviceCount(self) -> Result: ...

    def cudaSetDevice(self, device: int) -> Result: ...

    def cudaGetDeviceProperties(self, device: int) -> Result: ...

    def cudaMemGetInfo(self) -> Result: ...

    def cudaMalloc(self, size: int) -> Result: ...

    def cudaFree(self, devPtr: int) -> Result: ...

    def cudaHostAlloc(self, size: int, flags: int) -> Result: ...

    def cudaFreeHost(self, ptr: int) -> Result: ...

    def cudaMemsetAsync(self, devPtr: int, value: int, count: int, stream: Any) -> Result: ...

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: Any, stream: Any) -> Result: ...

    def cudaStreamCreateWithFlags(self, flags: int) -> Result: ...

    def cudaStreamSynchronize(self, stream: Any) -> Result: ...

    def cudaStreamDestroy(self, stream: Any) -> Result: ...

    def cudaStreamBeginCapture(self, stream: Any, mode: Any) -> Result: ...

    def cudaStreamEndCapture(self, stream: Any) -> Result: ...

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> Result: ...

    def cudaGraphLaunch(self, graphExec: Any, stream: Any) -> Result: ...

    def cudaGraphDestroy(self, graph: Any) -> Result: ...

    def cudaGraphExecDestroy(self, graphExec: Any) -> Result: ...


class CudaDriver(Protocol):
    """The module `cuda.bindings.driver`: kernels are loaded and launched through it."""

    def cuGetErrorName(self, error: Any) -> Result: ...

    def cuModuleLoadData(self, image: bytes) -> Result: ...

    def cuModuleGetFunction(self, hmod: Any, name: bytes) -> Result: ...

    def cuModuleUnload(self, hmod: Any) -> Result: ...

    def cuLaunchKernel(  # noqa: PLR0913
        self,
        f: Any,
        gridDimX: int,
        gridDimY: int,
        gridDimZ: int,
        blockDimX: int,
        blockDimY: int,
        blockDimZ: int,
        sharedMemBytes: int,
        hStream: Any,
        kernelParams: Any,
        extra: int,
    ) -> Result: ...


class Nvrtc(Protocol):
    """The module `cuda.bindings.nvrtc`: compiles the kernels for the GPU that is there."""

    def nvrtcGetErrorString(self, result: Any) -> Result: ...

    def nvrtcCreateProgram(
        self,
        src: bytes,
        name: bytes,
        numHeaders: int,
        headers: list[bytes] | None,
        includeNames: list[bytes] | None,
    ) -> Result: ...

    def nvrtcCompileProgram(self, prog: Any, numOptions: int, options: list[bytes]) -> Result: ...

    def nvrtcGetProgramLogSize(self, prog: Any) -> Result: ...

    def nvrtcGetProgramLog(self, prog: Any, log: bytes) -> Result: ...

    def nvrtcGetCUBINSize(self, prog: Any) -> Result: ...

    def nvrtcGetCUBIN(self, prog: Any, cubin: bytes) -> Result: ...

    def nvrtcDestroyProgram(self, prog: Any) -> Result: ...
