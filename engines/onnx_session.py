"""ONNX Runtime sessions on the CPU: one way to open them, one tuple of what they raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

if TYPE_CHECKING:
    from pathlib import Path

_ERRORS_ONLY = 3

# ONNX Runtime's exceptions share no base of their own. The built-in ones come from its Python wrapper (an unknown
# input name, metadata that is not UTF-8) and from allocations that a broken model asks for.
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
    RuntimeError,
    ValueError,
    TypeError,
    MemoryError,
)


def open_session(model: Path | bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Load a model for the CPU, from its file or its bytes; `threads` share the work of one run.

    Raises:
        one of RUNTIME_ERRORS: not a model that this runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads that spin would take the cores from the streams' own Python.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
