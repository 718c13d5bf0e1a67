"""Tests that need an NVIDIA GPU: they stay away where there is none, or where a library that they need is not.

`make gpu-check` runs them wherever a GPU and its libraries are, and says which they were.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from engines.backends.tensorrt.readiness import readiness

_CUDA = "CUDAExecutionProvider"
_DEVICES = Path("/dev/nvidiactl"), Path("/dev/dxg")
"""Of Linux, and of Linux inside Windows."""
_PROVIDER_OF = {
    "test_onnx_cuda.py": _CUDA,
    "test_onnx_tensorrt.py": "TensorrtExecutionProvider",
    "test_slots_on_cuda.py": _CUDA,
}
_available = onnxruntime.get_available_providers() if any(device.exists() for device in _DEVICES) else []

collect_ignore = [name for name, provider in _PROVIDER_OF.items() if provider not in _available]
_found = readiness()
if _found.missing:
    collect_ignore.append("test_tensorrt.py")
if not _found.gpus:
    collect_ignore.extend(["test_cuda_device.py", "test_slots_on_cuda.py"])
