"""A bank of noises: white, coloured, hum, babble, fan, clicks; each of unit power and 40 s long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.signal

from engines.models.recipe.speech.features import SAMPLE_RATE_HZ
from engines.models.recipe.speech.utterances import assemble, spoken_part
from engines.models.recipe.speech.voices import draw_utterance

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from engines.models.recipe.speech.utterances import Studio
    from engines.models.recipe.text.sentences import SentenceSource

_LENGTH_SAMPLES = 40 * SAMPLE_RATE_HZ
_SPECTRAL_SLOPES = (0.5, 0.5, 1.0, 0.8)
_HUM_BASES_HZ = (50, 60, 120)
_BABBLE_VOICES = (3, 6)
_NUM_CLICKS = 400


class NoiseBank:
    """Makes its noises once; `named` gives one, `draw` any."""

    def __init__(self, *, studio: Studio, sentences: SentenceSource, rng: Random, dice: np.random.Generator) -> None:
        """Synthesise the bank (about 2 s, nearly all of it babble)."""
        white = _white(dice)
        self._noises: dict[str, NDArray[np.float32]] = {"white": white}
        for index, slope in enumerate(_SPECTRAL_SLOPES):
            self._noises[f"coloured {index}"] = _coloured(dice, slope=slope)
        for base_hz in _HUM_BASES_HZ:
            self._noises[f"hum {base_hz} Hz"] = _hum(dice, base_hz=base_hz)
        for num_voices in _BABBLE_VOICES:
            self._noises[f"babble of {num_voices}"] = _babble(studio, sentences, rng, num_voices=num_voices)
        self._noises["fan"] = _fan(white)
        self._noises["clicks"] = _clicks(dice, white)
        self._noises = {name: _at_unit_power(noise) for name, noise in self._noises.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Every noise in the bank."""
        return tuple(self._noises)

    def draw(self, rng: Random, num_samples: int) -> NDArray[np.float32]:
        """A stretch of a random noise; it wraps around at the end."""
        return self.named(rng.choice(self.names), rng, num_samples)

    def named(self, name: str, rng: Random, num_samples: int) -> NDArray[np.float32]:
        """A stretch of one noise from a random position."""
        noise = self._noises[name]
        start = rng.randrange(len(noise) - 1)
        return np.take(noise, np.arange(start, start + num_samples), mode="wrap")


def _at_unit_power(noise: NDArray[np.float32]) -> NDArray[np.float32]:
    return (noise / np.sqrt((noise**2).mean())).astype(np.float32)


def _white(dice: np.random.Generator) -> NDArray[np.float32]:
    return dice.standard_normal(_LENGTH_SAMPLES).astype(np.float32)


def _coloured(dice: np.random.Generator, *, slope: float) -> NDArray[np.float32]:
    frequencies_hz = np.fft.rfftfreq(_LENGTH_SAMPLES, 1 / SAMPLE_RATE_HZ)
    frequencies_hz[0] = frequencies_hz[1]
    spectrum = np.fft.rfft(dice.standard_normal(_LENGTH_SAMPLES)) * (frequencies_hz / 100 + 0.1) ** -slope
    return np.fft.irfft(spectrum).astype(np.float32)


def _hum(dice: np.random.Generator, *, base_hz: int) -> NDArray[np.float32]:
    seconds = np.arange(_LENGTH_SAMPLES) / SAMPLE_RATE_HZ
    tones = sum(np.sin(2 * np.pi * base_hz * k * seconds + k * k) / k for k in range(1, 12))
    return (tones + 0.3 * dice.standard_normal(_LENGTH_SAMPLES)).astype(np.float32)


def _babble(studio: Studio, sentences: SentenceSource, rng: Random, *, num_voices: int) -> NDArray[np.float32]:
    babble = np.zeros(_LENGTH_SAMPLES, np.float32)
    for _ in range(num_voices):
        position = 0
        while position < _LENGTH_SAMPLES:
            spec = draw_utterance(rng, sentences, synthesiser="espeak")
            said = spoken_part(studio.say(spec, spec.sentences[0].spoken), resampling_ratio=spec.resampling_ratio)
            if not len(said):
                continue
            utterance = assemble([said], rng)[: _LENGTH_SAMPLES - position]
            babble[position : position + len(utterance)] += utterance
            position += len(utterance)
    return babble


def _fan(white: NDArray[np.float32]) -> NDArray[np.float32]:
    """Band noise, louder and softer seven times a second."""
    seconds = np.arange(_LENGTH_SAMPLES) / SAMPLE_RATE_HZ
    band = scipy.signal.butter(2, [200, 1500], "band", fs=SAMPLE_RATE_HZ, output="sos")
    return (scipy.signal.sosfilt(band, white) * (1 + 0.5 * np.sin(2 * np.pi * 7 * seconds))).astype(np.float32)


def _clicks(dice: np.random.Generator, white: NDArray[np.float32]) -> NDArray[np.float32]:
    clicks = np.zeros(_LENGTH_SAMPLES, np.float32)
    clicks[dice.integers(0, _LENGTH_SAMPLES, _NUM_CLICKS)] = dice.standard_normal(_NUM_CLICKS) * 6
    low_pass = scipy.signal.butter(2, 3_000, fs=SAMPLE_RATE_HZ, output="sos")
    return scipy.signal.sosfilt(low_pass, clicks).astype(np.float32) + 0.02 * white
