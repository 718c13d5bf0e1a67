"""Opens the backend that the settings name. Each kind has its module, which is imported only when it is asked for.

Such a module offers `open_backend(path, settings) -> Backend`; whatever it needs beyond Patchbay's own dependencies it
imports at its top, so that a missing library shows here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from engines.backends.guarded import GuardedBackend
from engines.backends.invariance import invariance_mistakes
from engines.contract import BackendKind
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend, BackendSettings


class _Runtime(NamedTuple):
    module: str
    to_install: str


_RUNTIMES = {
    BackendKind.onnx: _Runtime("engines.backends.onnx", "onnxruntime"),
    BackendKind.onnx_cuda: _Runtime("engines.backends.onnx_cuda", "onnxruntime-gpu, the extra `gpu`"),
    BackendKind.onnx_tensorrt: _Runtime("engines.backends.onnx_tensorrt", "onnxruntime-gpu, the extra `gpu`"),
    BackendKind.tensorrt: _Runtime("engines.backends.tensorrt.backend", "NVIDIA's tensorrt, the extra `gpu`"),
    BackendKind.triton: _Runtime("engines.backends.triton", "grpcio"),
    BackendKind.scripted: _Runtime("engines.backends.scripted", "nothing"),
}


def load_backend(path: Path | str, settings: BackendSettings) -> Backend:
    """Check a model, set it up on the runtime that the settings name, and prove that its streams do not mix.

    `path` is a folder or an ONNX file; a scripted backend reads none.

    Raises:
        ModelRejected: the model's files break the contract, a library that the runtime needs is not installed, or a
            stream's numbers depend on its batch. A scripted backend is not tried: it may be told to be wrong.
    """
    runtime = _RUNTIMES[settings.kind]
    try:
        module = importlib.import_module(runtime.module)
    except ImportError as error:
        mistake = f"the backend {settings.kind} needs {runtime.to_install}, which cannot be imported: {error}"
        raise ModelRejected(str(path), [mistake]) from error
    backend = GuardedBackend(module.open_backend(path, settings))
    mistakes = [] if settings.kind is BackendKind.scripted else invariance_mistakes(backend)
    if mistakes:
        backend.close()
        raise ModelRejected(str(path), mistakes)
    return backend
