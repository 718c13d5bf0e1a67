"""What a real Triton server does with sequences, and what of it an engine's streams notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from engines.backends.load import load_backend
from engines.backends.step_times import speech_like
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed, ModelRejected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.backends.triton.backend import TritonBackend
    from engines.contract import FloatArray
    from tests.harness.triton import Triton

    Opener = Callable[..., TritonBackend]

pytestmark = [pytest.mark.triton, pytest.mark.alone]

STEPS = 3


def streams(backend: Any, *, rows: int) -> FloatArray:
    """(STEPS, rows, window, feature_dim): a different stream in each row."""
    return np.stack([speech_like(backend.contract, rows=rows, seed=step) for step in range(STEPS)])


def test_a_row_alone_equals_the_row_in_any_batch_bit_for_bit(shared_triton: Triton, open_triton: Opener) -> None:
    backend = open_triton(shared_triton.address, "asr")
    speech = streams(backend, rows=8)
    together = [backend.step(windows, range(8)) for windows in speech]
    for slots in ([0, 1, 2], [5], [7, 3]):
        for slot in slots:
            backend.reset(slot)
        for windows, expected in zip(speech, together, strict=True):
            assert np.array_equal(backend.step(windows[slots], slots), expected[slots])


def test_it_gives_what_onnx_runtime_gives_here(shared_triton: Triton, open_triton: Opener, embedded: Path) -> None:
    there = open_triton(shared_triton.address, "asr")
    here = load_backend(embedded, BackendSettings(max_slots=8))
    assert there.contract == msgspec.structs.replace(here.contract, name="asr")
    assert (there.memory.device, there.memory.weights_bytes) == (shared_triton.address, here.contract.weights_bytes)
    for windows in streams(there, rows=8):
        np.testing.assert_allclose(there.step(windows, range(8)), here.step(windows, range(8)), atol=1e-3)


def test_requests_of_a_step_share_runs_of_the_model(shared_triton: Triton, open_triton: Opener) -> None:
    backend = open_triton(shared_triton.address, "asr", max_slots=32)
    rows = speech_like(backend.contract, rows=32)
    requests_before, runs_before = shared_triton.counts_of("asr")
    for _ in range(4):
        backend.step(rows, range(32))
    requests, runs = shared_triton.counts_of("asr")
    assert requests - requests_before == 4 * 32
    assert runs - runs_before <= 4 * 16


def test_a_slot_that_was_reset_begins_anew_and_ends_its_sequence(shared_triton: Triton, open_triton: Opener) -> None:
    """The model has two places, so the third sequence runs only if the first two were ended."""
    backend = open_triton(shared_triton.address, "two", max_slots=2)
    rows = speech_like(backend.contract, rows=2)
    first = backend.step(rows, [0, 1])
    for _ in range(5):
        backend.reset(0)
        backend.reset(1)
        assert np.array_equal(backend.step(rows, [0, 1]), first)


def test_more_slots_than_the_server_has_places_are_refused_at_load(shared_triton: Triton, open_triton: Opener) -> None:
    with pytest.raises(ModelRejected, match="advances 2 sequences of it at once, 3 slots are asked for"):
        open_triton(shared_triton.address, "two", max_slots=3)


def test_a_stream_that_would_wait_for_a_place_fails_in_time(shared_triton: Triton, open_triton: Opener) -> None:
    """Triton itself says nothing: another engine holds the places."""
    other = open_triton(shared_triton.address, "two", max_slots=2)
    rows = speech_like(other.contract, rows=2)
    expected = other.step(rows, [0, 1])
    ours = open_triton(shared_triton.address, "two", max_slots=2, step_timeout_s=0.3)
    with pytest.raises(BackendFailed, match=r"did not answer 2 of 2 streams within 0\.3 s"):
        ours.step(rows, [0, 1])
    other.close()
    again = open_triton(shared_triton.address, "two", max_slots=2)
    assert np.array_equal(again.step(rows, [0, 1]), expected)


def test_closing_ends_all_sequences_at_the_server(shared_triton: Triton, open_triton: Opener) -> None:
    for _ in range(3):
        backend = open_triton(shared_triton.address, "two", max_slots=2)
        backend.step(speech_like(backend.contract, rows=2), [0, 1])
        backend.close()
        backend.close()


def test_a_stream_whose_sequence_was_forgotten_fails_and_begins_anew(
    shared_triton: Triton, open_triton: Opener
) -> None:
    """`brief` has one place: that a second sequence gets an answer shows that the first was forgotten."""
    ours = open_triton(shared_triton.address, "brief", max_slots=1, min_idle_ms=100)
    rows = speech_like(ours.contract, rows=1)
    first = ours.step(rows, [0])
    other = open_triton(shared_triton.address, "brief", max_slots=1, min_idle_ms=100)
    other.step(rows, [0])
    other.close()
    with pytest.raises(BackendFailed, match="must specify the START flag"):
        ours.step(rows, [0])
    assert np.array_equal(ours.step(rows, [0]), first)


def test_a_server_that_forgets_too_soon_is_refused_at_load(shared_triton: Triton, open_triton: Opener) -> None:
    with pytest.raises(ModelRejected, match="max_sequence_idle_microseconds must be 60000000 or more, not 800000"):
        open_triton(shared_triton.address, "brief", max_slots=1)


def test_a_model_that_the_server_has_not_is_refused(shared_triton: Triton) -> None:
    settings = BackendSettings(kind=BackendKind.triton, server=shared_triton.address)
    with pytest.raises(ModelRejected, match="unknown model: 'nope'"):
        load_backend("nope", settings)


def test_a_warm_up_times_growing_batches_and_leaves_no_sequence(shared_triton: Triton, open_triton: Opener) -> None:
    backend = open_triton(shared_triton.address, "asr", max_slots=4)
    first = backend.step(speech_like(backend.contract, rows=4), range(4))
    for slot in range(4):
        backend.reset(slot)
    times = backend.warm_up()
    assert [time.batch for time in times] == [1, 2, 4]
    assert np.array_equal(backend.step(speech_like(backend.contract, rows=4), range(4)), first)
