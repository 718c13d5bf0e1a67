"""The functions of cuda-bindings have the parameters that this code gives them."""

from __future__ import annotations

import importlib
import inspect

import pytest

from engines.backends.tensorrt import cuda_api

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("module", "mirror"),
    [("runtime", cuda_api.CudaRuntime), ("driver", cuda_api.CudaDriver), ("nvrtc", cuda_api.Nvrtc)],
)
def test_a_declared_function_is_the_real_one(module: str, mirror: type) -> None:
    real = importlib.import_module(f"cuda.bindings.{module}")
    for name, declared in vars(mirror).items():
        if inspect.isfunction(declared) and not name.startswith("_"):
            parameters = list(inspect.signature(declared).parameters)[1:]
            assert list(inspect.signature(getattr(real, name)).parameters) == parameters, name


def test_the_constants_are_there() -> None:
    runtime = importlib.import_module("cuda.bindings.runtime")
    assert runtime.cudaMemcpyKind.cudaMemcpyHostToDevice != runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
    assert runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal is not None
    assert (runtime.cudaHostAllocDefault, runtime.cudaStreamNonBlocking) == (0, 1)
