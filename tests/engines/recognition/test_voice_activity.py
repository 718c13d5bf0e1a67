"""Speech is found row by row, and one click does not make it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import ModelRejected
from engines.proto import onnx_graph_pb2 as onnx
from engines.recognition.voice_activity import WINDOW_SAMPLES, SileroVoiceActivity, SpeechTracker, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SLOTS = 6


@pytest.fixture(scope="module")
def voice_activity() -> SileroVoiceActivity:
    return SileroVoiceActivity(find_silero_model(), max_slots=SLOTS)


@pytest.fixture(scope="module")
def speech(recording: Callable[[str], bytes]) -> FloatArray:
    """(windows, 512) of somebody speaking, with silence before and after."""
    samples = np.frombuffer(recording("digits_slt.wav"), "<i2").astype(np.float32) / 32_768
    windows = len(samples) // WINDOW_SAMPLES
    return samples[: windows * WINDOW_SAMPLES].reshape(windows, WINDOW_SAMPLES)


def test_speech_is_told_from_silence(voice_activity: SileroVoiceActivity, speech: FloatArray) -> None:
    voice_activity.reset(0)
    (found,) = voice_activity.probabilities([speech], [0])
    assert max(found[:8]) < 0.3  # 256 ms of the silence in front
    assert sum(probability > 0.5 for probability in found) > 40
    voice_activity.reset(0)
    (found,) = voice_activity.probabilities([np.zeros((60, WINDOW_SAMPLES), np.float32)], [0])
    assert max(found) < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_a_row_alone_equals_the_row_in_any_batch_bit_for_bit(
    voice_activity: SileroVoiceActivity, speech: FloatArray, seed: int
) -> None:
    dice = random.Random(seed)
    streams = [np.roll(speech, shift, axis=0)[:40] for shift in range(SLOTS)]
    expected = []
    for stream in streams:
        voice_activity.reset(0)
        expected.append(voice_activity.probabilities([stream], [0])[0])
    for slot in range(SLOTS):
        voice_activity.reset(slot)
    found: list[list[float]] = [[] for _ in range(SLOTS)]
    while waiting := [slot for slot in range(SLOTS) if len(found[slot]) < 40]:
        batch = dice.sample(waiting, dice.randint(1, len(waiting)))
        windows = [streams[slot][len(found[slot]) :][: dice.randint(1, 12)] for slot in batch]
        for slot, probabilities in zip(batch, voice_activity.probabilities(windows, batch), strict=True):
            found[slot] += probabilities
    assert found == expected


def test_a_slot_that_was_reset_hears_anew(voice_activity: SileroVoiceActivity, speech: FloatArray) -> None:
    voice_activity.reset(2)
    first = voice_activity.probabilities([speech[:30]], [2])
    assert voice_activity.probabilities([speech[:30]], [2]) != first
    voice_activity.reset(2)
    assert voice_activity.probabilities([speech[:30]], [2]) == first


def test_a_model_with_other_inputs_is_refused(embedded_model: Path) -> None:
    with pytest.raises(ModelRejected, match="its inputs must be input, sr, state"):
        SileroVoiceActivity(embedded_model / "model.onnx", max_slots=1)


def test_a_network_with_other_layers_is_refused(tmp_path: Path) -> None:
    model = onnx.Model.FromString(find_silero_model().read_bytes())
    for node in model.graph.node:
        for attribute in node.attribute:
            for inner in attribute.g.node:
                # As a release might that has another activation.
                if inner.op_type == "Relu":
                    inner.op_type = "Tanh"
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelRejected, match="its layers must be those of"):
        SileroVoiceActivity(path, max_slots=1)


def test_a_file_that_does_not_load_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelRejected, match="cannot load it"):
        SileroVoiceActivity(path, max_slots=1)


# --- the hysteresis --------------------------------------------------------------------------------------------------


def tracked(*probabilities: float) -> SpeechTracker:
    tracker = SpeechTracker()
    tracker.read(probabilities)
    return tracker


def test_three_windows_in_a_row_begin_speech_at_the_first_of_them() -> None:
    tracker = tracked(0.1, 0.5, 0.9, 0.5)
    assert tracker.onset_sample == 1 * WINDOW_SAMPLES
    assert tracker.speech_end_sample == 4 * WINDOW_SAMPLES


def test_a_click_is_not_speech() -> None:
    tracker = tracked(0.1, 0.9, 0.9, 0.4, 0.9, 0.9, 0.1)
    assert tracker.onset_sample is None
    assert tracker.speech_end_sample == 0


def test_doubtful_windows_do_not_end_speech() -> None:
    assert tracked(0.9, 0.9, 0.9, 0.35, 0.4, 0.36).speech_end_sample == 6 * WINDOW_SAMPLES
    assert tracked(0.9, 0.9, 0.9, 0.34, 0.4, 0.9).speech_end_sample == 3 * WINDOW_SAMPLES


def test_the_onset_does_not_move_when_speech_goes_on_after_a_pause() -> None:
    tracker = tracked(0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9)
    assert tracker.onset_sample == 0
    assert tracker.speech_end_sample == 7 * WINDOW_SAMPLES


def test_after_skipped_windows_speech_has_to_begin_again() -> None:
    tracker = tracked(0.9, 0.9, 0.9)
    tracker.skip_to(10)
    assert tracker.windows_read == 10
    tracker.read([0.4, 0.9, 0.9])
    assert tracker.speech_end_sample == 3 * WINDOW_SAMPLES
    tracker.read([0.9])
    assert tracker.speech_end_sample == 14 * WINDOW_SAMPLES
    assert tracker.onset_sample == 0


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 9))
def test_speech_does_not_depend_on_how_its_windows_are_grouped(probabilities: list[float], group: int) -> None:
    grouped, at_once = SpeechTracker(), tracked(*probabilities)
    for start in range(0, len(probabilities), group):
        grouped.read(probabilities[start : start + group])
    assert (grouped.onset_sample, grouped.speech_end_sample, grouped.windows_read) == (
        at_once.onset_sample,
        at_once.speech_end_sample,
        len(probabilities),
    )
