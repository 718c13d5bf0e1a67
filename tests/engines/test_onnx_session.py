"""Whatever ONNX Runtime raises for a file it cannot load is in one tuple."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as states

from engines.onnx_session import RUNTIME_ERRORS, open_session

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

# Names of states that ONNX Runtime does not raise from loading or running on the CPU.
_NOT_FAILURES = {"ModelLoadCanceled", "ModelLoaded"}


def test_a_model_loads(embedded_model: Path) -> None:
    assert len(open_session(embedded_model / "model.onnx", threads=1).get_inputs()) == 5


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08\x3a\x00"])
def test_what_cannot_be_loaded_raises_a_runtime_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(RUNTIME_ERRORS):
        open_session(path, threads=1)


def test_every_exception_of_the_runtime_is_known() -> None:
    raised = {
        name for name in dir(states) if isinstance(kind := getattr(states, name), type) and issubclass(kind, Exception)
    }
    assert raised - _NOT_FAILURES <= {error.__name__ for error in RUNTIME_ERRORS}
