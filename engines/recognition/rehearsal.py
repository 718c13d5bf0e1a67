"""Runs a recogniser over made-up speech in growing batches, to learn what its steps cost before anybody waits for one.

The sound is a voice that sings vowels. Voice activity takes it for speech, so that steps do all that they do when
everybody speaks.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from engines.contract import StepTime
from engines.interface import SAMPLE_RATE_HZ, OpenStream, StreamOptions

if TYPE_CHECKING:
    from engines.contract import BatchRecogniser, FloatArray

_PITCH_HZ = 120
_INTONATION_HZ = 25
_SYLLABLE_SAMPLES = SAMPLE_RATE_HZ // 4
_HARMONICS = 32
_BANDWIDTH_HZ = 90
_VOWELS_HZ = (
    (730, 1_090, 2_440),
    (270, 2_290, 3_010),
    (530, 1_840, 2_480),
    (300, 870, 2_240),
    (640, 1_190, 2_390),
)
"""Formants of the vowels in "hod", "heed", "head", "who'd" and "hud" in men's voices (Peterson and Barney, 1952)."""
_TIMED_STEPS = 3
_UNTIMED_STEPS = 1
_BUDGET_S = 10.0


def speech_like(num_samples: int) -> FloatArray:
    """Give (num_samples,) float32 in [-1, 1]: one vowel after the other, four a second."""
    seconds = np.arange(num_samples) / SAMPLE_RATE_HZ
    pitch_hz = _PITCH_HZ + _INTONATION_HZ * np.sin(2 * np.pi * 0.7 * seconds)
    phases = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, _HARMONICS + 1)[:, None]
    sound = np.zeros(num_samples)
    for number, first in enumerate(range(0, num_samples, _SYLLABLE_SAMPLES)):
        syllable = slice(first, min(first + _SYLLABLE_SAMPLES, num_samples))
        hz = harmonics * pitch_hz[syllable]
        gain = np.zeros_like(hz)
        for formant_hz in _VOWELS_HZ[number % len(_VOWELS_HZ)]:
            gain += 1 / (1 + ((hz - formant_hz) / _BANDWIDTH_HZ) ** 2)
        gain *= hz < SAMPLE_RATE_HZ / 2
        voiced = (gain / np.sqrt(harmonics) * np.sin(harmonics * phases[syllable])).sum(axis=0)
        opening = (np.arange(len(voiced)) + 0.5) / _SYLLABLE_SAMPLES
        sound[syllable] = voiced * np.sqrt(np.sin(np.pi * opening))
    scaled: FloatArray = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    return scaled


def rehearse(recogniser: BatchRecogniser, *, max_batch: int) -> tuple[StepTime, ...]:
    """Time steps of 1, 2, 4, ... rows, up to `max_batch`; the median of three each.

    Larger batches are left out once a step lasts as long as its audio, or the rehearsal ten seconds. No stream may be
    open; none is afterwards.

    Raises:
        BackendFailed: a step failed.
    """
    window = recogniser.window_samples
    pcm16 = (speech_like(window) * 32_767).astype("<i2").tobytes()
    step_us = recogniser.step_samples * 1_000_000 // SAMPLE_RATE_HZ
    deadline_s = time.monotonic() + _BUDGET_S
    found: list[StepTime] = []
    batch = 1
    while True:
        found.append(StepTime(batch, _median_step_us(recogniser, batch, pcm16)))
        if batch == max_batch or found[-1].step_us >= step_us or time.monotonic() >= deadline_s:
            return tuple(found)
        batch = min(2 * batch, max_batch)


def _median_step_us(recogniser: BatchRecogniser, batch: int, pcm16: bytes) -> int:
    slots = list(range(batch))
    for slot in slots:
        stream = OpenStream(session_id="", tenant="", epoch=1, start_sample=0, options=StreamOptions())
        recogniser.open(slot, stream)
        recogniser.accept(slot, pcm16)
    taken_us: list[int] = []
    while len(taken_us) < _UNTIMED_STEPS + _TIMED_STEPS and all(recogniser.is_ready(slot) for slot in slots):
        began_at_ns = time.perf_counter_ns()
        recogniser.step(slots)
        taken_us.append((time.perf_counter_ns() - began_at_ns) // 1_000)
    for slot in slots:
        recogniser.close(slot)
    timed = taken_us[_UNTIMED_STEPS:] or taken_us or [1]
    return max(1, round(statistics.median(timed)))
