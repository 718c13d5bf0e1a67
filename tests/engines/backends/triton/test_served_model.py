"""What runs inside Triton, with the module that Triton gives it made up: rows, states, what ends, what is forgotten."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.onnx import open_plain
from engines.backends.step_times import speech_like
from engines.backends.triton.served_model import SequenceStates, TritonPythonModel
from engines.contract import BackendSettings
from engines.model_files import check_model
from engines.onnx_session import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

IDLE_US = 60_000_000


class Tensor:
    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.values = values

    def as_numpy(self) -> Any:
        return self.values


def request(
    sequence: int, window: FloatArray, *, is_start: bool = False, is_end: bool = False, is_ready: bool = True
) -> dict[str, Tensor]:
    numbers = {"START": is_start, "END": is_end, "READY": is_ready, "CORRID": sequence}
    tensors = {name: Tensor(name, np.full((1, 1), number)) for name, number in numbers.items()}
    return tensors | {"features": Tensor("features", np.ascontiguousarray(window.T)[None])}


@pytest.fixture
def model(embedded_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TritonPythonModel:
    triton = SimpleNamespace(
        Tensor=Tensor,
        TritonError=str,
        InferenceResponse=lambda output_tensors, error=None: SimpleNamespace(tensors=output_tensors, error=error),
        get_input_tensor_by_name=lambda given, name: given[name],
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "model.onnx").symlink_to(embedded_model / "model.onnx")
    metadata = open_session(embedded_model / "model.onnx", threads=1).get_modelmeta().custom_metadata_map
    config = {
        "parameters": {key: {"string_value": value} for key, value in metadata.items()},
        "input": [{"name": "features"}],
        "output": [{"name": "log_probabilities"}],
        "sequence_batching": {"max_sequence_idle_microseconds": str(IDLE_US)},
    }
    loaded = TritonPythonModel()
    loaded.initialize({"model_config": json.dumps(config), "model_repository": str(tmp_path), "model_version": "5"})
    return loaded


def rows_of(responses: list[Any]) -> list[Any]:
    assert [response.error for response in responses] == [None] * len(responses)
    return [response.tensors[0].values for response in responses]


def test_rows_are_those_of_the_same_file_run_here(model: TritonPythonModel, embedded_model: Path) -> None:
    contract = check_model(embedded_model)
    here = open_plain(contract, embedded_model / "model.onnx", BackendSettings(max_slots=3))
    for step in range(3):
        windows = speech_like(contract, rows=3, seed=step)
        responses = model.execute([request(7 + row, windows[row], is_start=step == 0) for row in (2, 0, 1)])
        expected = here.step(windows[[2, 0, 1]], [2, 0, 1])
        assert np.array_equal(np.concatenate(rows_of(responses)), expected)


def test_an_end_gives_zeros_and_forgets_the_sequence(model: TritonPythonModel, embedded_model: Path) -> None:
    (window,) = speech_like(check_model(embedded_model), rows=1)
    rows_of(model.execute([request(7, window, is_start=True)]))
    (row,) = rows_of(model.execute([request(7, window, is_end=True)]))
    assert row.shape == (1, 4, 513)
    assert not row.any()
    (response,) = model.execute([request(7, window)])
    assert "must specify the START flag" in response.error


def test_a_slot_that_triton_fills_up_leaves_no_state(model: TritonPythonModel, embedded_model: Path) -> None:
    (window,) = speech_like(check_model(embedded_model), rows=1)
    ours, filler = model.execute([request(7, window, is_start=True), request(0, window, is_start=True, is_ready=False)])
    assert not rows_of([filler])[0].any()
    assert rows_of([ours])[0].any()
    assert len(model._states) == 1


def test_a_failed_run_is_told_for_each_request_and_its_sequences_are_forgotten(
    model: TritonPythonModel, embedded_model: Path
) -> None:
    (window,) = speech_like(check_model(embedded_model), rows=1)
    rows_of(model.execute([request(7, window, is_start=True)]))
    responses = model.execute([request(7, window[:-1]), request(8, window[:-1], is_start=True)])
    assert all("ONNX Runtime failed" in response.error for response in responses)
    assert len(model._states) == 0
    model.finalize()


def test_what_was_idle_for_too_long_is_dropped_and_nothing_else() -> None:
    states = SequenceStates(lambda: (np.zeros(1),), idle_ns=100)
    states.keep(1, (1,), now_ns=0)
    states.keep(2, (2,), now_ns=50)
    states.keep(1, (3,), now_ns=60)
    states.drop_idle(now_ns=151)
    assert (states.take(1, is_start=False), states.take(2, is_start=False)) == ((3,), None)
    states.drop_idle(now_ns=160)
    assert len(states) == 1
    states.drop_idle(now_ns=161)
    assert len(states) == 0


def test_a_start_forgets_what_the_sequence_had() -> None:
    states = SequenceStates(lambda: (0,), idle_ns=100)
    states.keep(1, (5,), now_ns=0)
    assert states.take(1, is_start=True) == (0,)
    states.drop(1)
    states.drop(1)
    assert states.take(1, is_start=False) is None
