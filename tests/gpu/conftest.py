"""Tests that need an NVIDIA GPU: they stay away where ONNX Runtime has not the provider that they are about.

`make gpu-check` runs them wherever a GPU and its libraries are, and says which they were.
"""

from __future__ import annotations

import onnxruntime

_PROVIDER_OF = {"test_onnx_cuda.py": "CUDAExecutionProvider", "test_onnx_tensorrt.py": "TensorrtExecutionProvider"}
_available = onnxruntime.get_available_providers()

collect_ignore = [name for name, provider in _PROVIDER_OF.items() if provider not in _available]
