"""State outside the graph is gathered and put back by slot, for neighbours in order and for any others alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.onnx import open_plain
from engines.backends.onnx_plain import PlainSlots
from engines.backends.step_times import speech_like
from engines.contract import BackendSettings
from engines.errors import BackendFailed
from engines.model_files import check_model
from engines.onnx_session import open_session

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("slots", [[0, 1, 2], [4, 5, 6], [2, 1, 0], [6, 0, 3]])
def test_rows_do_not_depend_on_how_slots_lie(embedded_model: Path, slots: list[int]) -> None:
    backend = open_plain(check_model(embedded_model), embedded_model / "model.onnx", BackendSettings(max_slots=7))
    features = speech_like(backend.contract, rows=3)
    expected = [backend.step(features, [0, 1, 2]) for _ in range(3)]
    for slot in range(7):
        backend.reset(slot)
    assert all(np.array_equal(backend.step(features, slots), rows) for rows in expected)


def test_state_is_laid_out_once_and_let_go(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    contract = check_model(folder)
    slots = PlainSlots(open_session(folder / "model.onnx", threads=1), contract, max_slots=5)
    assert slots.state_bytes_total == 5 * contract.state_bytes
    assert slots.providers == ("CPUExecutionProvider",)
    slots.close()


def test_what_the_runtime_fails_is_a_backend_that_failed(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    backend = open_plain(check_model(folder), folder / "model.onnx", BackendSettings(max_slots=1))
    with pytest.raises(BackendFailed):
        backend.step(speech_like(backend.contract, rows=1)[:, 1:], [0])
