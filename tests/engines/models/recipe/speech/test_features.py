"""The features of training."""

from __future__ import annotations

import numpy as np
import pytest

from engines.models.recipe.speech.features import DIGITAL_SILENCE, NUM_MELS, log_mel

pytestmark = pytest.mark.unit


def test_there_is_one_frame_per_ten_milliseconds() -> None:
    assert log_mel(np.zeros(16_000, np.float32)).shape == (100, NUM_MELS)


def test_no_audio_gives_no_frames() -> None:
    assert log_mel(np.zeros(0, np.float32)).shape == (0, NUM_MELS)


def test_digital_silence_is_the_floor_that_batches_append() -> None:
    assert np.allclose(log_mel(np.zeros(1_600, np.float32)), DIGITAL_SILENCE, atol=1e-4)


def test_a_tone_is_loudest_in_the_band_that_holds_it() -> None:
    seconds = np.arange(16_000) / 16_000
    low, high = (
        log_mel((0.3 * np.sin(2 * np.pi * tone_hz * seconds)).astype(np.float32))[50].argmax()
        for tone_hz in (300, 5_000)
    )

    assert low < 20 < 60 < high
