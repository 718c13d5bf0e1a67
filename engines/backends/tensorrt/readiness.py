"""What this machine lacks to build or run TensorRT engines, all of it at once."""

from __future__ import annotations

from typing import NamedTuple

from engines.backends.tensorrt.cuda_device import Cuda
from engines.backends.tensorrt.library import load_tensorrt
from engines.errors import BackendFailed, RuntimeMissing


class Readiness(NamedTuple):
    """`missing` is empty on a machine that has everything; versions are empty where they could not be asked."""

    missing: tuple[str, ...]
    tensorrt_version: str
    driver_cuda_version: str
    """The newest CUDA that the driver takes; 0.0 without a driver."""
    bindings_cuda_version: str
    gpus: int


def readiness() -> Readiness:
    """Look for TensorRT, cuda-bindings, the driver and a GPU. Never raises, touches no GPU's memory."""
    missing: list[str] = []
    tensorrt_version = driver = bindings = ""
    gpus = 0
    try:
        tensorrt_version = load_tensorrt().__version__
    except RuntimeMissing as lacking:
        missing.extend(lacking.mistakes)
    try:
        cuda = Cuda()
        driver, bindings = _versions(cuda)
    except RuntimeMissing as lacking:
        return Readiness((*missing, *lacking.mistakes), tensorrt_version, driver, bindings, gpus)
    try:
        cuda.check_compiler()
    except RuntimeMissing as lacking:
        missing.extend(lacking.mistakes)
    try:
        gpus = cuda.device_count()
    except RuntimeMissing as lacking:
        missing.extend(lacking.mistakes)
    return Readiness(tuple(missing), tensorrt_version, driver, bindings, gpus)


def _versions(cuda: Cuda) -> tuple[str, str]:
    try:
        return cuda.versions()
    except (BackendFailed, RuntimeError):  # RuntimeError: a library cannot be loaded; device_count says so
        return "", ""
