"""A slot's results are its own: bit for bit the same alone, in any batch, and after any other slot's reset."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.onnx import ON_CPU, OnnxBackend, open_backend, open_plain, open_pooled
from engines.contract import BackendSettings
from engines.errors import BackendFailed, ModelRejected
from engines.model_files import check_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.contract import FloatArray, ModelContract

pytestmark = pytest.mark.unit

SLOTS = 9
STEPS = 6


@pytest.fixture(scope="module")
def contract(embedded_model: Path) -> ModelContract:
    return check_model(embedded_model)


@pytest.fixture(scope="module", params=["in the graph", "in the graph, 2 threads", "outside"])
def backend(contract: ModelContract, embedded_model: Path, request: pytest.FixtureRequest) -> OnnxBackend:
    """The embedded model with its state kept in each of the ways."""
    settings = BackendSettings(max_slots=SLOTS, threads=2 if request.param.endswith("2 threads") else 1)
    if request.param == "outside":
        return open_plain(contract, embedded_model / "model.onnx", settings)
    return open_pooled(contract, embedded_model / "model.onnx", settings, ON_CPU)


@pytest.fixture(scope="module")
def speech(contract: ModelContract) -> FloatArray:
    """(SLOTS, STEPS, window, feature_dim): a different stream for each slot."""
    shape = (SLOTS, STEPS, contract.window_frames, contract.feature_dim)
    return -7 + 3 * np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def alone(backend: OnnxBackend, stream: FloatArray) -> FloatArray:
    """Give (STEPS, rows, outputs) of one stream that has the backend to itself."""
    backend.reset(0)
    return np.stack([backend.step(window[None], [0])[0] for window in stream])


@pytest.mark.parametrize("seed", range(5))
def test_a_row_alone_equals_the_row_in_any_batch_bit_for_bit(
    backend: OnnxBackend, speech: FloatArray, seed: int
) -> None:
    dice = random.Random(seed)
    expected = [alone(backend, stream) for stream in speech]
    for slot in range(SLOTS):
        backend.reset(slot)
    steps_taken = [0] * SLOTS
    while waiting := [slot for slot in range(SLOTS) if steps_taken[slot] < STEPS]:
        batch = dice.sample(waiting, dice.randint(1, len(waiting)))
        rows = backend.step(np.stack([speech[slot, steps_taken[slot]] for slot in batch]), batch)
        for slot, row in zip(batch, rows, strict=True):
            assert np.array_equal(row, expected[slot][steps_taken[slot]])
            steps_taken[slot] += 1


def test_a_slot_that_was_reset_begins_anew(backend: OnnxBackend, speech: FloatArray) -> None:
    first = alone(backend, speech[0])
    alone(backend, speech[1])
    assert np.array_equal(alone(backend, speech[0]), first)


def test_a_reset_leaves_the_other_slots_alone(backend: OnnxBackend, speech: FloatArray) -> None:
    expected = alone(backend, speech[0])
    backend.reset(4)
    found = []
    for window in speech[0]:
        found.append(backend.step(window[None], [4])[0])
        backend.reset(3)
        backend.reset(5)
    assert np.array_equal(np.stack(found), expected)


def test_a_step_gives_rows_of_log_probabilities(
    backend: OnnxBackend, contract: ModelContract, speech: FloatArray
) -> None:
    rows = backend.step(speech[:3, 0], [0, 1, 2])
    assert rows.shape == (3, contract.shift_frames // contract.subsampling, contract.vocab_size + 1)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1, atol=1e-4)


def test_a_step_that_the_runtime_fails_loses_the_batch(backend: OnnxBackend, contract: ModelContract) -> None:
    too_short = np.zeros((1, contract.window_frames - 1, contract.feature_dim), np.float32)
    with pytest.raises(BackendFailed):
        backend.step(too_short, [0])


def test_a_file_that_does_not_load_is_refused(contract: ModelContract, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelRejected):
        open_plain(contract, path, BackendSettings(max_slots=1))


def test_a_model_with_external_weights_runs(
    toy_model: Any, tmp_path: Path, make_external_tensor: Callable[..., bytes]
) -> None:
    folder = toy_model.but(weights=make_external_tensor("w", (640, 8), "weights.bin")).write(tmp_path)
    (folder / "weights.bin").write_bytes(b"\0\0\0\x3e" * (640 * 8))
    backend = open_backend(folder, BackendSettings(max_slots=2))
    features = np.random.default_rng(2).standard_normal((2, 16, 80), dtype=np.float32)
    expected = open_plain(check_model(folder), folder / "model.onnx", BackendSettings(max_slots=2))
    assert np.array_equal(backend.step(features, [0, 1]), expected.step(features, [0, 1]))


def test_a_graph_that_cannot_be_rewritten_is_run_as_it_is(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.but(opset=12).write(tmp_path)
    backend = open_backend(folder, BackendSettings(max_slots=2))
    assert backend.memory.state_bytes_total == 2 * backend.contract.state_bytes
    assert backend.step(np.zeros((1, 16, 80), np.float32), [1]).shape == (1, 2, 8)


def test_the_state_of_a_toy_model_goes_from_step_to_step(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    backend = open_backend(folder, BackendSettings(max_slots=4))
    features = np.random.default_rng(2).standard_normal((2, 16, 80), dtype=np.float32)
    forwards, backwards = backend.step(features, [1, 3]), backend.step(features[::-1], [3, 1])
    assert np.array_equal(forwards, backwards[::-1])
