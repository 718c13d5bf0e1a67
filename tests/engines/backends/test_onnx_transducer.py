"""A transducer's streams share steps and nothing else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.onnx_transducer import OnnxTransducerBackend, open_transducer
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed, ModelRejected
from tests.models.lstm_transducer import LstmTransducer
from tests.models.zipformer_transducer import ZipformerTransducer

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SLOTS, STEPS = 9, 12


@pytest.fixture(scope="module", params=["zipformer2", "lstm"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {"zipformer2": ZipformerTransducer(), "lstm": LstmTransducer(shift_frames=16)}
    return models[request.param].write(tmp_path_factory.mktemp("transducer"))


@pytest.fixture
def backend(folder: Path) -> OnnxTransducerBackend:
    return open_transducer(folder, BackendSettings(max_slots=SLOTS, threads=1))


def streams_for(backend: OnnxTransducerBackend) -> FloatArray:
    shape = (SLOTS, STEPS, backend.contract.window_frames, backend.contract.feature_dim)
    noise = np.random.default_rng(4).standard_normal(shape, dtype=np.float32)
    streams: FloatArray = -7 + 3 * noise
    return streams


def alone(backend: OnnxTransducerBackend, windows: FloatArray, slot: int = 0) -> list[tuple[list[int], list[float]]]:
    backend.reset(slot)
    results = [backend.step(window[None], [slot]) for window in windows]
    return [(result.tokens[0].tolist(), result.log_probabilities[0].tolist()) for result in results]


def test_a_step_gives_a_piece_or_none_for_each_row(backend: OnnxTransducerBackend) -> None:
    contract = backend.contract
    rows = contract.shift_frames // contract.subsampling
    emissions = backend.step(streams_for(backend)[:3, 0], [4, 0, 7])
    assert emissions.tokens.shape == emissions.log_probabilities.shape == (3, rows)
    assert emissions.tokens.dtype == np.int64
    assert ((emissions.tokens >= 0) & (emissions.tokens <= contract.vocab_size)).all()
    assert not (emissions.tokens == contract.unknown_id).any()
    assert (emissions.log_probabilities <= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_streams_in_any_company_give_what_each_gives_alone(backend: OnnxTransducerBackend, seed: int) -> None:
    streams = streams_for(backend)
    expected = [alone(backend, windows) for windows in streams]
    dice = random.Random(seed)
    for slot in range(SLOTS):
        backend.reset(slot)
    found: list[list[tuple[list[int], list[float]]]] = [[] for _ in range(SLOTS)]
    while waiting := [slot for slot in range(SLOTS) if len(found[slot]) < STEPS]:
        slots = dice.sample(waiting, dice.randrange(1, len(waiting) + 1))
        emissions = backend.step(np.stack([streams[slot, len(found[slot])] for slot in slots]), slots)
        for place, slot in enumerate(slots):
            found[slot].append((emissions.tokens[place].tolist(), emissions.log_probabilities[place].tolist()))
    assert found == expected


def test_a_slot_that_was_reset_has_no_past(backend: OnnxTransducerBackend) -> None:
    windows = streams_for(backend)[0]
    first = alone(backend, windows, slot=3)
    assert any(tokens != [0] * len(tokens) for tokens, _ in first)
    assert alone(backend, windows, slot=3) == first


def test_what_is_held_is_told(backend: OnnxTransducerBackend, folder: Path) -> None:
    contract, memory = backend.contract, backend.memory
    states = sum(state.size_bytes for state in contract.states)
    assert memory.state_bytes_per_slot == states + 8 * contract.context_size + 4 * contract.joiner_dim
    assert memory.state_bytes_total == SLOTS * memory.state_bytes_per_slot
    files = sum(file.stat().st_size for file in folder.glob("*.onnx"))
    assert 0.5 * files < memory.weights_bytes <= files
    assert (memory.device, backend.kind, backend.max_batch) == ("cpu", BackendKind.onnx, SLOTS)


def test_a_warm_up_times_growing_batches_and_leaves_no_trace(backend: OnnxTransducerBackend) -> None:
    windows = streams_for(backend)[0]
    expected = alone(backend, windows)
    backend.reset(0)
    times = backend.warm_up()
    assert [time.batch for time in times] == [1, 2, 4, 8, 9]
    results = [backend.step(window[None], [0]) for window in windows]
    assert [result.tokens[0].tolist() for result in results] == [tokens for tokens, _ in expected]


def test_a_failure_of_the_runtime_is_told_as_one(backend: OnnxTransducerBackend) -> None:
    with pytest.raises(BackendFailed):
        backend.step(np.zeros((1, 3, 80), np.float32), [0])
    backend.close()
    backend.close()


def test_another_runtime_is_refused(folder: Path) -> None:
    with pytest.raises(ModelRejected, match="onnx only"):
        open_transducer(folder, BackendSettings(kind=BackendKind.onnx_cuda))
