"""A rewritten model computes what the model computed, with one input, one output and three states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from engines.backends.step_times import speech_like
from engines.backends.triton.implicit_state import NotFloat, with_implicit_state
from engines.model_files import check_model
from engines.onnx_session import open_session
from engines.proto import onnx_graph_pb2 as onnx

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

_TYPES = {"TYPE_FP32": np.float32, "TYPE_FP16": np.float16, "TYPE_INT64": np.int64}


@pytest.mark.parametrize("batch", [1, 3])
def test_it_gives_the_same_bits_step_by_step(embedded_model: Path, batch: int) -> None:
    contract = check_model(embedded_model)
    content = (embedded_model / "model.onnx").read_bytes()
    stateful = with_implicit_state(content, contract)
    before, after = open_session(content, threads=1), open_session(stateful.content, threads=1)
    names = [given.name for given in before.get_inputs()]
    caches: list[Any] = [
        np.zeros((batch, *contract.cache_channel_shape), np.float32),
        np.zeros((batch, *contract.cache_time_shape), np.float32),
        np.zeros(batch, np.int64),
    ]
    lengths = np.full(batch, contract.window_frames, np.int64)
    states = {
        state.input_name: np.zeros((batch, *state.shape), _TYPES[state.data_type]) for state in stateful.tensors.states
    }
    for step in range(3):
        features = np.ascontiguousarray(speech_like(contract, rows=batch, seed=step).transpose(0, 2, 1))
        expected, _, *caches = before.run(None, dict(zip(names, (features, lengths, *caches), strict=True)))
        outputs = [stateful.tensors.log_probabilities, *(state.output_name for state in stateful.tensors.states)]
        found, *next_states = after.run(outputs, {stateful.tensors.features: features} | states)
        states = dict(zip(states, next_states, strict=True))
        assert np.array_equal(found, expected)
        assert states[stateful.tensors.states[-1].input_name][:, 0].tolist() == caches[-1].tolist()


def test_nothing_else_is_asked_for_or_given(embedded_model: Path) -> None:
    contract = check_model(embedded_model)
    stateful = with_implicit_state((embedded_model / "model.onnx").read_bytes(), contract)
    session = open_session(stateful.content, threads=1)
    states = stateful.tensors.states
    assert [given.name for given in session.get_inputs()] == [
        stateful.tensors.features,
        *(state.input_name for state in states),
    ]
    assert [given.name for given in session.get_outputs()] == [
        stateful.tensors.log_probabilities,
        *(state.output_name for state in states),
    ]
    assert [state.shape for state in states] == [contract.cache_channel_shape, contract.cache_time_shape, (1,)]


def test_what_the_file_says_of_itself_stays(embedded_model: Path) -> None:
    content = (embedded_model / "model.onnx").read_bytes()
    stateful = with_implicit_state(content, check_model(embedded_model))
    metadata = [
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
        for model in (content, stateful.content)
    ]
    assert metadata[0] == metadata[1]


def test_features_in_another_type_are_refused(toy_model: Any, tmp_path: Path) -> None:
    contract = check_model(toy_model.write(tmp_path / "toy"))
    model = onnx.Model.FromString(toy_model.onnx())
    model.graph.input[0].type.tensor_type.elem_type = onnx.Tensor.FLOAT16
    with pytest.raises(NotFloat):
        with_implicit_state(model.SerializeToString(), contract)
