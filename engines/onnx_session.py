"""ONNX Runtime sessions: one way to open them, one tuple of what they raise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Providers = Sequence[str | tuple[str, Mapping[str, str]]]

NUMPY_TYPES: dict[str, type[np.generic[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
}
"""Element types of the inputs and outputs that models here may have, as ONNX Runtime names them."""

CPU_ONLY = ("CPUExecutionProvider",)
ERRORS_ONLY = 3

# ONNX Runtime's exceptions share no base of their own. The built-in ones come from its Python wrapper (an unknown
# input name, metadata that is not UTF-8), from files, and from allocations that a broken model asks for.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    states.DeviceReset,
    states.EngineError,
    states.EPFail,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.ModelRequiresCompilation,
    states.NoModel,
    states.NoSuchFile,
    states.NotFound,
    states.NotImplemented,
    states.RuntimeException,
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    MemoryError,
)


def usable_threads(threads: int) -> int:
    """Give `threads`, or for 0 one for each core that this process may use."""
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(
    model: Path | bytes, *, threads: int, providers: Providers = CPU_ONLY, weights_folder: Path | None = None
) -> onnxruntime.InferenceSession:
    """Load a model from its file or its bytes.

    Args:
        threads: share the work of one run on the CPU; 0 takes one for each core that this process may use.
        providers: the first that can run an operator does, with its options.
        weights_folder: where bytes that have weights in other files find them.

    Raises:
        one of RUNTIME_ERRORS: not a model that this runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_threads(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Idle threads that spin would take the cores from the streams' own Python.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights_folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights_folder))
    source = model if isinstance(model, bytes) else str(model)
    # Falling back to the CPU by itself, which it would also do in the middle of a run, is nobody's wish.
    return onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)


def first_line(error: Exception) -> str:
    """Give the first line of what an error says, at most 300 characters of it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
