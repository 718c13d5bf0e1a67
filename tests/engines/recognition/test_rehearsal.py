"""Promises of the rehearsal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.contract import StepTime
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.rehearsal import rehearse, speech_like
from engines.recognition.scripted import Script, ScriptedRecogniser
from engines.recognition.voice_activity import WINDOW_SAMPLES, SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import StepResult
    from engines.recognition.recogniser import Recogniser

pytestmark = pytest.mark.unit


class CountingRecogniser(ScriptedRecogniser):
    """Notes the batches that were stepped."""

    def __init__(self, script: Script, *, max_slots: int) -> None:
        super().__init__(script, max_slots=max_slots)
        self.batches: list[int] = []

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        self.batches.append(len(slots))
        return super().step(slots)


def test_voice_activity_hears_speech_in_what_is_rehearsed_with() -> None:
    listener = SileroVoiceActivity(find_silero_model(), max_slots=1)
    windows = speech_like(150 * WINDOW_SAMPLES).reshape(150, WINDOW_SAMPLES)
    (probabilities,) = listener.probabilities([windows], [0])
    assert np.abs(windows).max() <= 1
    assert np.mean(np.array(probabilities) > 0.35) > 0.5


def test_batches_double_up_to_the_largest() -> None:
    recogniser = CountingRecogniser(Script(), max_slots=6)
    times = rehearse(recogniser, max_batch=6)
    assert [entry.batch for entry in times] == [1, 2, 4, 6]
    assert all(entry.step_us >= 1 for entry in times)
    assert sorted(set(recogniser.batches)) == [1, 2, 4, 6]


def test_batches_that_last_as_long_as_their_audio_end_the_rehearsal() -> None:
    recogniser = CountingRecogniser(Script(step_delay_ms=501), max_slots=2)
    times = rehearse(recogniser, max_batch=2)
    assert [entry.batch for entry in times] == [1]
    assert times[0].step_us >= 501_000


def test_a_rehearsal_leaves_no_stream_and_no_trace(recogniser: Recogniser) -> None:
    def hear() -> list[FinalResult]:
        recogniser.open(0, OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions()))
        pcm16 = (speech_like(32_000) * 32_767).astype("<i2").tobytes()
        recogniser.accept(0, pcm16)
        recogniser.cut(0, 32_000, is_last=True)
        found: list[FinalResult] = []
        while recogniser.is_ready(0):
            found += [event for event in recogniser.step([0])[0].events if isinstance(event, FinalResult)]
        recogniser.close(0)
        return found

    before = hear()
    times = recogniser.rehearse(max_batch=4)
    assert [entry.batch for entry in times] == [1, 2, 4]
    assert times[0] != StepTime(1, 0)
    assert not any(recogniser.is_ready(slot) for slot in range(4))
    assert hear() == before
