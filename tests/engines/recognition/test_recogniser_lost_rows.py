"""A stream whose rows are no numbers is lost alone: its neighbours in the batch hear what they hear without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.guarded import GuardedBackend
from engines.backends.load import load_backend
from engines.contract import BackendSettings
from engines.interface import FinalResult
from engines.recognition.recogniser import Recogniser
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engines.contract import FloatArray, StepResult
    from engines.interface import OpenStream

pytestmark = pytest.mark.unit

SLOTS = 3
SPOILT = 1


class SpoilingBackend(GuardedBackend):
    """The inner backend, but for one slot that gets NaN from its third step on."""

    def __init__(self, backend: Any) -> None:
        super().__init__(_Spoiling(backend))


class _Spoiling:
    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._steps = 0

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        rows: FloatArray = self._backend.step(features, slots)
        self._steps += SPOILT in slots
        if SPOILT in slots and self._steps > 2:
            rows[list(slots).index(SPOILT), 0, 0] = np.nan
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def recogniser_over(backend: Any) -> Recogniser:
    voice_activity = SileroVoiceActivity(find_silero_model(), max_slots=SLOTS)
    return Recogniser(backend, voice_activity, max_slots=SLOTS)


def hear(recogniser: Recogniser, opened: OpenStream, recordings: list[bytes]) -> list[list[StepResult]]:
    """Give every slot's results; all streams get their audio at once and step together."""
    found: list[list[StepResult]] = [[] for _ in recordings]
    for slot, pcm16 in enumerate(recordings):
        recogniser.open(slot, opened)
        recogniser.accept(slot, pcm16)
        recogniser.cut(slot, len(pcm16) // 2, is_last=True)
    running = set(range(len(recordings)))
    while running:
        for result in recogniser.step(sorted(running)):
            found[result.slot].append(result)
            if result.is_over:
                recogniser.close(result.slot)
                running.remove(result.slot)
    return found


def texts(results: list[StepResult]) -> list[str]:
    return [event.text for result in results for event in result.events if isinstance(event, FinalResult)]


def test_a_stream_of_bad_rows_is_lost_and_its_neighbours_hear_what_they_hear_without_it(
    embedded_model: Path, recording: Callable[[str], bytes], open_stream: Callable[..., OpenStream]
) -> None:
    settings = BackendSettings(max_slots=SLOTS)
    recordings = [recording(name) for name in ("digits_rms.wav", "timer_rms.wav", "dialogue_awb.wav")]
    undisturbed = hear(recogniser_over(load_backend(embedded_model, settings)), open_stream(), recordings)
    spoilt = hear(recogniser_over(SpoilingBackend(load_backend(embedded_model, settings))), open_stream(), recordings)
    for slot in (0, 2):
        assert spoilt[slot] == undisturbed[slot]
        assert texts(spoilt[slot])
    *before, last = spoilt[SPOILT]
    assert (last.events, last.is_over, last.is_lost) == ((), True, True)
    assert before == undisturbed[SPOILT][: len(before)]
    assert texts(before) == []


def test_a_slot_whose_stream_was_lost_is_as_new_for_the_next_one(
    embedded_model: Path, recording: Callable[[str], bytes], open_stream: Callable[..., OpenStream]
) -> None:
    settings = BackendSettings(max_slots=SLOTS)
    pcm16 = recording("timer_rms.wav")
    backend = load_backend(embedded_model, settings)
    recogniser = recogniser_over(SpoilingBackend(backend))
    assert hear(recogniser, open_stream(), [pcm16, pcm16])[SPOILT][-1].is_lost
    recogniser._backend = backend
    first, second = hear(recogniser, open_stream(), [pcm16, pcm16])
    assert texts(first) == texts(second) != []
