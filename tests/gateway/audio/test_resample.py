"""Streaming resampling against resampling in one go."""

from __future__ import annotations

import random

import numpy as np
import pytest
import soxr

from gateway.audio.resample import Resampler

pytestmark = pytest.mark.unit

RATES_HZ = [6_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 96_000, 192_000]


def noise(rate_hz: int, *, duration_ms: int = 1_000) -> np.ndarray:
    """White up to 80 % of the band that both rates can carry: at its edge, filters may differ."""
    num_samples = rate_hz * duration_ms // 1_000
    spectrum = np.fft.rfft(np.random.default_rng(rate_hz).standard_normal(num_samples))
    spectrum[int(len(spectrum) * 0.8 * min(rate_hz, 16_000) / rate_hz) :] = 0
    sound = np.fft.irfft(spectrum, num_samples)
    return (sound * (3_000 / sound.std())).astype(np.float32)


def resampled(samples: np.ndarray, rate_hz: int, *, chunk_samples: int) -> np.ndarray:
    resampler = Resampler(rate_hz)
    pieces = [resampler.accept(samples[at : at + chunk_samples]) for at in range(0, len(samples), chunk_samples)]
    return np.frombuffer(b"".join([*pieces, resampler.finish()]), "<i2")


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_stream_is_the_whole_without_delay_or_loss(studio, rate_hz):
    samples = noise(rate_hz)
    streamed = resampled(samples, rate_hz, chunk_samples=rate_hz // 50)
    assert abs(len(streamed) - 16_000) <= 1
    likeness, shift_ms = studio.alignment(streamed, samples, rate_hz)
    assert likeness > 0.9995
    assert abs(shift_ms) <= 0.5 / 16


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 32_000, 44_100, 48_000])
def test_rates_above_16_khz_are_exactly_what_resampling_in_one_go_gives(rate_hz):
    samples = noise(rate_hz)
    whole = soxr.resample(samples, rate_hz, 16_000)
    streamed = resampled(samples, rate_hz, chunk_samples=rate_hz // 50)
    assert np.abs(streamed - whole[: len(streamed)]).max() <= 0.501


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000])
def test_the_output_does_not_depend_on_the_chunks(rate_hz):
    samples = noise(rate_hz)
    reference = resampled(samples, rate_hz, chunk_samples=len(samples))
    for chunk_samples in (1, random.Random(rate_hz).randrange(2, 999), rate_hz // 10):
        assert np.array_equal(resampled(samples, rate_hz, chunk_samples=chunk_samples), reference)


@pytest.mark.parametrize(
    ("rate_hz", "most_ms"),
    [(6_000, 40), (8_000, 30), (11_025, 22), (24_000, 38), (44_100, 40), (48_000, 38), (32_000, 58), (192_000, 80)],
)
def test_no_more_than_the_stated_time_is_held_back(rate_hz, most_ms):
    samples = noise(rate_hz, duration_ms=500)
    resampler = Resampler(rate_hz)
    given_samples = 0
    chunk_samples = rate_hz // 50
    for end in range(chunk_samples, len(samples) + 1, chunk_samples):
        given_samples += len(resampler.accept(samples[end - chunk_samples : end])) // 2
        assert end / rate_hz - given_samples / 16_000 <= most_ms / 1_000 + 1e-4


def test_overshoot_is_clipped_and_does_not_wrap():
    square = np.where(np.arange(8_000) // 20 % 2, 32_767, -32_768).astype(np.float32)
    streamed = resampled(square, 8_000, chunk_samples=160).astype(np.int32)
    assert np.abs(np.diff(streamed)).max() <= 65_535
    assert (streamed[45:75] > 0).all()


def test_16_khz_is_left_as_it_is():
    samples = np.array([0, -1, 32_767, -32_768, 40_000], np.float32)
    assert resampled(samples, 16_000, chunk_samples=2).tolist() == [0, -1, 32_767, -32_768, 32_767]


def test_silence_is_as_long_as_it_is_asked_for():
    assert Resampler(8_000).silence(5).tolist() == [0.0] * 5
