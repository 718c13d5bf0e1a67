"""Whatever ONNX Runtime raises for a file it cannot load is in one tuple."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as states

from engines.onnx_session import RUNTIME_ERRORS, first_line, open_session, usable_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.unit

# Names of states that ONNX Runtime does not raise from loading or running on the CPU.
_NOT_FAILURES = {"ModelLoadCanceled", "ModelLoaded"}


def test_a_model_loads(embedded_model: Path) -> None:
    assert len(open_session(embedded_model / "model.onnx", threads=1).get_inputs()) == 5


def test_no_threads_means_one_for_each_core_that_may_be_used() -> None:
    assert usable_threads(3) == 3
    assert usable_threads(0) == len(os.sched_getaffinity(0))


def test_bytes_find_their_weights_in_the_folder_that_is_named(
    toy_model: Any, tmp_path: Path, make_external_tensor: Callable[..., bytes]
) -> None:
    model = toy_model.but(weights=make_external_tensor("w", (640, 8), "weights.bin"))
    (tmp_path / "weights.bin").write_bytes(bytes(4 * 640 * 8))
    assert len(open_session(model.onnx(), threads=1, weights_folder=tmp_path).get_inputs()) == 5


def test_the_first_line_of_an_error_is_enough() -> None:
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 999))) == 300


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
