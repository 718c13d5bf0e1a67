"""Features are those that the embedded model was trained on: a kept file and two other implementations say so."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import kaldi_native_fbank
import numpy as np
import pytest

from engines.recognition.features import FeatureWindows, LogMel, samples_needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden" / "chirp_features.npy"
WINDOW, SHIFT, STEPS = 39, 32, 3
FRAMES = WINDOW + SHIFT * (STEPS - 1)


def chirp(num_samples: int) -> FloatArray:
    """Give a tone that rises through 100-7,900 Hz and swells, over a constant offset, in 16-bit steps."""
    seconds = np.arange(num_samples) / 16_000
    tone = np.sin(2 * np.pi * (100 * seconds + 3_900 * seconds**2)) * (0.05 + 0.4 * seconds)
    return (np.round((tone + 0.01) * 32_767) / 32_768).astype(np.float32)


def windows_of(samples: FloatArray, *, steps: int = STEPS) -> list[FloatArray]:
    features = FeatureWindows(LogMel(feature_dim=80), window_frames=WINDOW, shift_frames=SHIFT)
    ends = [0] + [samples_needed(SHIFT * step + WINDOW) for step in range(steps)]
    return [features.next_window(samples[start:end]).copy() for start, end in pairwise(ends)]


def joined(windows: list[FloatArray]) -> FloatArray:
    return np.concatenate([windows[0], *(window[WINDOW - SHIFT :] for window in windows[1:])])


def slaney_hz(mels: FloatArray) -> FloatArray:
    """Turn Slaney mels to Hz: linear up to 1,000 Hz, logarithmic above (librosa.mel_to_hz, htk=False)."""
    return np.where(mels < 15, mels * 200 / 3, 1_000 * np.exp(np.log(6.4) / 27 * (mels - 15)))


def second_implementation(samples: FloatArray, frames: int) -> FloatArray:
    """Compute the features in numpy, in double precision, from the description of the front end alone."""
    highest_mel = 15 + np.log(8_000 / 1_000) * 27 / np.log(6.4)
    corners = slaney_hz(np.linspace(0, highest_mel, 82))
    bins = np.arange(257) * 16_000 / 512
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    mirrored = np.concatenate([samples[:120][::-1], samples]).astype(np.float64)
    rows = []
    for frame in range(frames):
        window = mirrored[160 * frame : 160 * frame + 400]
        window = window - 0.97 * np.concatenate([window[:1], window[:-1]])
        power = np.abs(np.fft.rfft(window * hann, 512)) ** 2
        rows.append(np.log(np.maximum(filters @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


def test_features_are_the_kept_ones() -> None:
    found = joined(windows_of(chirp(samples_needed(FRAMES))))
    np.testing.assert_allclose(found, np.load(GOLDEN), atol=1e-3)


def test_features_are_those_of_a_second_implementation() -> None:
    samples = chirp(samples_needed(FRAMES))
    np.testing.assert_allclose(joined(windows_of(samples)), second_implementation(samples, FRAMES), atol=1e-5)


@pytest.mark.parametrize("attenuation", [1, 300])
def test_features_of_recordings_are_those_of_kaldi_native_fbank(
    recording: Callable[[str], bytes], kaldi_options: kaldi_native_fbank.FbankOptions, attenuation: int
) -> None:
    pcm16 = np.frombuffer(recording("digits_slt.wav"), "<i2") // attenuation
    samples = pcm16.astype(np.float32) / 32_768
    fbank = kaldi_native_fbank.OnlineFbank(kaldi_options)
    fbank.accept_waveform(16_000, samples.tolist())
    steps = (fbank.num_frames_ready - WINDOW) // SHIFT
    expected = [fbank.get_frame(frame) for frame in range(SHIFT * (steps - 1) + WINDOW)]
    # It computes in single precision: bands far below the loudest one differ most.
    np.testing.assert_allclose(joined(windows_of(samples, steps=steps)), expected, atol=1e-3)


def test_silence_is_the_floor() -> None:
    (window,) = windows_of(np.zeros(samples_needed(WINDOW), np.float32), steps=1)
    assert np.array_equal(window, np.full((WINDOW, 80), np.log(np.finfo(np.float32).eps), np.float32))


def test_two_utterances_may_take_turns_with_one_front_end() -> None:
    samples = chirp(samples_needed(FRAMES))
    other = samples[::-1].copy()
    log_mel = LogMel(feature_dim=80)
    ours, others = (FeatureWindows(log_mel, window_frames=WINDOW, shift_frames=SHIFT) for _ in range(2))
    ends = [0] + [samples_needed(SHIFT * step + WINDOW) for step in range(STEPS)]
    for (start, end), alone in zip(pairwise(ends), windows_of(samples), strict=True):
        window = ours.next_window(samples[start:end])
        others.next_window(other[start:end])
        assert np.array_equal(window, alone)


def test_windows_overlap_as_the_model_was_exported() -> None:
    first, second, third = windows_of(chirp(samples_needed(FRAMES)))
    assert first.shape == (WINDOW, 80)
    assert np.array_equal(first[SHIFT:], second[: WINDOW - SHIFT])
    assert np.array_equal(second[SHIFT:], third[: WINDOW - SHIFT])


def test_later_audio_does_not_change_a_window() -> None:
    samples = chirp(samples_needed(FRAMES))
    other = samples.copy()
    other[samples_needed(WINDOW) :] = 0
    assert np.array_equal(windows_of(samples)[0], windows_of(other)[0])


def test_an_utterance_of_a_minute_keeps_its_windows_exact() -> None:
    dice = random.Random(3)
    steps = 180
    samples = np.array([dice.randrange(-9_000, 9_000) for _ in range(16_000)], np.float32) / 32_768
    samples = np.tile(samples, 60)[: samples_needed(SHIFT * (steps - 1) + WINDOW)]
    windows = windows_of(samples, steps=steps)
    # 100 frames are a second, after which the signal repeats: 25 steps of 32 frames are 8 seconds.
    assert np.array_equal(windows[150], windows[175])


def test_shift_and_window_may_be_equal() -> None:
    features = FeatureWindows(LogMel(feature_dim=80), window_frames=16, shift_frames=16)
    samples = chirp(samples_needed(32))
    first = features.next_window(samples[: samples_needed(16)]).copy()
    second = features.next_window(samples[samples_needed(16) :])
    np.testing.assert_allclose(np.concatenate([first, second]), second_implementation(samples, 32), atol=1e-5)
