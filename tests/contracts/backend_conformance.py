"""What every backend promises, whatever runs the model. A test file names its kind and gives a `Case`; that is all.

    class TestOnnx(BackendConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def case(cls, ...) -> Case: ...

The suite opens the backend for `SLOTS` streams and batches of at most `MAX_BATCH`.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import tracemalloc
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.contract import BackendSettings
from engines.errors import BackendFailed
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engines.contract import Backend, BackendKind, FloatArray

SLOTS, MAX_BATCH = 9, 7
STREAMS, STEPS = 6, 5
RECORDINGS = Path(__file__).parents[2] / "engines" / "models" / "recordings"
SPOKEN = ("digits_rms.wav", "price_awb.wav", "wake_us.wav")
_SLACK_BYTES = 512 * 1024
"""What one backend more or less may take in Python beside its state."""


@dataclass(frozen=True, slots=True)
class Case:
    """One backend to hold against the contract.

    Attributes:
        open: sets the backend up.
        reference_rows: log-probabilities of streams, each alone, by somebody else: (streams, steps, window, features)
            to (streams, steps, outputs per step, pieces).
        reference: a backend whose words are right.
        tolerance: how far log-probabilities may be from the reference, in natural logarithms.
        batch_tolerance: how far a row in a batch may be from the row alone; 0 is bit for bit.
        model_file: the file whose digest is the version; None where there is none.
    """

    kind: BackendKind
    open: Callable[[BackendSettings], Backend]
    reference_rows: Callable[[FloatArray], FloatArray]
    reference: Callable[[BackendSettings], Backend]
    tolerance: float
    batch_tolerance: float = 0.0
    model_file: Path | None = None


def settings(kind: BackendKind, **changes: int) -> BackendSettings:
    return BackendSettings(kind=kind, max_slots=changes.get("max_slots", SLOTS), max_batch=MAX_BATCH)


class BackendConformance:
    """The promises. Subclasses give the fixture `case`."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, case: Case) -> Iterator[Backend]:
        with contextlib.closing(case.open(settings(case.kind))) as opened:
            yield opened

    @pytest.fixture(scope="class")
    @classmethod
    def speech(cls, backend: Backend) -> FloatArray:
        """(STREAMS, STEPS, window, features)."""
        contract = backend.contract
        shape = (STREAMS, STEPS, contract.window_frames, contract.feature_dim)
        made: FloatArray = -7 + 3 * np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls, case: Case, speech: FloatArray) -> FloatArray:
        """(STREAMS, STEPS, outputs per step, pieces), by the reference."""
        return case.reference_rows(speech)

    @pytest.fixture(scope="class")
    @classmethod
    def alone(cls, backend: Backend, speech: FloatArray) -> FloatArray:
        """The same by the backend, each stream by itself."""
        return np.stack([run_alone(backend, stream, slot=0) for stream in speech])

    # --- numbers -----------------------------------------------------------------------------------------------------

    def test_log_probabilities_are_those_of_the_reference(
        self, case: Case, alone: FloatArray, expected: FloatArray
    ) -> None:
        assert alone.shape == expected.shape
        assert alone.dtype == np.float32
        assert np.abs(alone - expected).max() <= case.tolerance

    def test_rows_are_log_probabilities(self, alone: FloatArray) -> None:
        np.testing.assert_allclose(np.exp(alone.astype(np.float64)).sum(-1), 1, atol=1e-2)

    @pytest.mark.parametrize("batch", range(1, MAX_BATCH + 1))
    def test_every_size_of_batch_gives_each_row_as_if_alone(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray, batch: int
    ) -> None:
        slots = np.roll(np.arange(SLOTS)[::-1], batch)[:batch].tolist()
        streams = [number % STREAMS for number in range(batch)]
        reset(backend, slots)
        for step in range(STEPS):
            rows = backend.step(np.stack([speech[stream, step] for stream in streams]), slots)
            assert_same(rows, alone[streams, step], within=case.batch_tolerance)

    @pytest.mark.parametrize("seed", range(4))
    def test_streams_that_take_turns_in_any_order_do_not_mix(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray, seed: int
    ) -> None:
        dice = random.Random(seed)
        slot_of = dice.sample(range(SLOTS), STREAMS)
        reset(backend, slot_of)
        taken = [0] * STREAMS
        while waiting := [stream for stream in range(STREAMS) if taken[stream] < STEPS]:
            batch = dice.sample(waiting, dice.randint(1, min(len(waiting), MAX_BATCH)))
            windows = np.stack([speech[stream, taken[stream]] for stream in batch])
            rows = backend.step(windows, [slot_of[stream] for stream in batch])
            for stream, row in zip(batch, rows, strict=True):
                assert_same(row, alone[stream, taken[stream]], within=case.batch_tolerance)
                taken[stream] += 1

    # --- state -------------------------------------------------------------------------------------------------------

    def test_the_state_of_a_stream_matters(self, backend: Backend, speech: FloatArray) -> None:
        backend.reset(0)
        first = np.array(backend.step(speech[0, :1], [0]))
        second = np.array(backend.step(speech[0, 1:2], [0]))
        backend.reset(0)
        assert not np.array_equal(second, backend.step(speech[0, 1:2], [0]))
        backend.reset(0)
        assert np.array_equal(first, backend.step(speech[0, :1], [0]))

    @pytest.mark.parametrize("slot", [0, SLOTS // 2, SLOTS - 1])
    def test_a_slot_used_again_is_as_new(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray, slot: int
    ) -> None:
        run_alone(backend, speech[1], slot=slot)
        assert_same(run_alone(backend, speech[0], slot=slot), alone[0], within=case.batch_tolerance)

    def test_a_slot_that_takes_no_part_stays_as_it_was(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray
    ) -> None:
        backend.reset(4)
        others = [slot for slot in range(SLOTS) if slot != 4][:MAX_BATCH]
        for step in range(STEPS):
            row = np.array(backend.step(speech[2, step : step + 1], [4]))
            assert_same(row[0], alone[2, step], within=case.batch_tolerance)
            backend.step(np.stack([speech[number % STREAMS, step] for number in range(len(others))]), others)
            reset(backend, others[step:])

    def test_results_stay_as_they_were_given(self, backend: Backend, speech: FloatArray) -> None:
        reset(backend, [0, 1])
        first = backend.step(speech[:2, 0], [0, 1])
        kept = first.copy()
        backend.step(speech[2:4, 0], [0, 1])
        assert np.array_equal(first, kept)

    # --- what it says of itself --------------------------------------------------------------------------------------

    def test_a_warm_up_tells_times_that_rise_and_leaves_no_trace(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray
    ) -> None:
        times = backend.warm_up()
        sizes = [entry.batch for entry in times]
        assert sizes == sorted(set(sizes))
        assert (sizes[0], sizes[-1]) == (1, backend.max_batch)
        durations = [entry.step_us for entry in times]
        assert durations == sorted(durations)
        assert durations[0] > 0
        for slot in range(STREAMS):
            found = np.stack([backend.step(window[None], [slot])[0] for window in speech[slot]])
            assert_same(found, alone[slot], within=case.batch_tolerance)

    def test_it_says_what_it_is(self, case: Case, backend: Backend) -> None:
        assert (backend.kind, backend.max_slots, backend.max_batch) == (case.kind, SLOTS, MAX_BATCH)
        contract = backend.contract
        assert len(contract.tokens) == contract.vocab_size + 1
        if case.model_file is not None:
            assert contract.version == hashlib.sha256(case.model_file.read_bytes()).hexdigest()[:16]

    def test_memory_figures_add_up(self, case: Case, backend: Backend) -> None:
        memory = backend.memory
        assert memory.device
        assert memory.state_bytes_per_slot == backend.contract.state_bytes > 0
        assert memory.state_bytes_total >= SLOTS * memory.state_bytes_per_slot
        if case.model_file is not None:
            assert 0.5 <= memory.weights_bytes / case.model_file.stat().st_size <= 1
        with contextlib.closing(case.open(settings(case.kind, max_slots=3 * SLOTS))) as larger:
            grown = larger.memory.state_bytes_total - memory.state_bytes_total
        assert grown == 2 * SLOTS * memory.state_bytes_per_slot

    def test_state_on_this_machine_is_as_large_as_it_says(self, case: Case, backend: Backend) -> None:
        if backend.memory.device == "cpu":
            few, many = (traced_bytes(case, max_slots=slots) for slots in (SLOTS, 11 * SLOTS))
            assert abs(many - few - 10 * SLOTS * backend.memory.state_bytes_per_slot) < _SLACK_BYTES

    # --- failure and end ---------------------------------------------------------------------------------------------

    def test_a_failure_of_the_runtime_is_a_backend_that_failed(
        self, case: Case, backend: Backend, speech: FloatArray, alone: FloatArray
    ) -> None:
        with pytest.raises(BackendFailed):
            backend.step(speech[:1, 0, :-1], [0])
        assert_same(run_alone(backend, speech[0], slot=0), alone[0], within=case.batch_tolerance)

    def test_it_may_be_closed_twice_and_fails_from_then_on(self, case: Case, speech: FloatArray) -> None:
        backend = case.open(settings(case.kind))
        backend.step(speech[:1, 0], [0])
        backend.close()
        backend.close()
        with pytest.raises(BackendFailed):
            backend.step(speech[:1, 0], [0])

    # --- words -------------------------------------------------------------------------------------------------------

    def test_words_are_those_of_the_reference(self, case: Case, backend: Backend) -> None:
        with contextlib.closing(case.reference(settings(case.kind))) as reference:
            expected = words(reference)
        assert any(expected)
        assert words(backend) == expected


def run_alone(backend: Backend, stream: FloatArray, *, slot: int) -> FloatArray:
    """Give (steps, outputs per step, pieces) of a stream that begins anew in `slot`."""
    backend.reset(slot)
    return np.stack([np.array(backend.step(window[None], [slot])[0]) for window in stream])


def reset(backend: Backend, slots: Sequence[int]) -> None:
    for slot in slots:
        backend.reset(slot)


def assert_same(found: FloatArray, expected: FloatArray, *, within: float) -> None:
    if within:
        assert np.abs(found - expected).max() <= within
    else:
        assert np.array_equal(found, expected)


def traced_bytes(case: Case, *, max_slots: int) -> int:
    """Give what Python holds for an open backend, numpy's arrays among it."""
    tracemalloc.start()
    try:
        with contextlib.closing(case.open(settings(case.kind, max_slots=max_slots))):
            return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def words(backend: Backend) -> list[str]:
    """Give what each of a few recordings says, all of them recognised side by side."""
    voice_activity = SileroVoiceActivity(find_silero_model(), max_slots=SLOTS)
    recogniser: Any = Recogniser(backend, voice_activity, max_slots=SLOTS)
    heard: list[list[str]] = [[] for _ in SPOKEN]
    opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    for slot, name in enumerate(SPOKEN):
        with wave.open(str(RECORDINGS / name)) as file:
            pcm16 = file.readframes(file.getnframes())
        recogniser.open(slot, opened)
        recogniser.accept(slot, pcm16)
        recogniser.cut(slot, len(pcm16) // 2, is_last=True)
    while ready := [slot for slot in range(len(SPOKEN)) if recogniser.is_ready(slot)]:
        for result in recogniser.step(ready):
            heard[result.slot] += [event.text for event in result.events if isinstance(event, FinalResult)]
    return [" ".join(text for text in texts if text) for texts in heard]
