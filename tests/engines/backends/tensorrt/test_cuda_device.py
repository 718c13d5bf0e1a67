"""Without a GPU, the real bindings say what is missing, as one typed error."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from engines.backends.tensorrt.cuda_device import Cuda, CudaDevice
from engines.errors import BackendFailed, RuntimeMissing

pytestmark = pytest.mark.unit


def has_gpu() -> bool:
    try:
        return Cuda().device_count() > 0
    except RuntimeMissing:
        return False


def test_an_error_of_the_runtime_is_named() -> None:
    error: Any = importlib.import_module("cuda.bindings.runtime").cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(BackendFailed, match="cudaErrorMemoryAllocation: out of memory"):
        Cuda().checked((error, None))


def test_what_a_call_gives_comes_without_its_code() -> None:
    assert (Cuda().checked((0,)), Cuda().checked((0, 5)), Cuda().checked((0, 1, 2))) == ((), 5, (1, 2))


def test_a_gpu_that_is_not_there_is_missing_not_failing() -> None:
    index = 1_000 if has_gpu() else 0
    with pytest.raises(RuntimeMissing) as refused:
        CudaDevice(index)
    assert refused.value.mistakes


def test_the_bindings_say_their_version() -> None:
    assert Cuda().versions()[1].startswith("13.")
