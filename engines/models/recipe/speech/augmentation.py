"""What happens to a clean utterance on its way to the model: rooms, equalisers, noise, telephones, clipping, level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.signal

from engines.models.recipe.speech.features import SAMPLE_RATE_HZ
from engines.models.recipe.speech.telephone import (
    band_pass,
    from_telephone_rate,
    through_mu_law,
    to_telephone_rate,
)

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from engines.models.recipe.speech.noise import NoiseBank

    Samples = NDArray[np.float32]

# Shares of the utterances that each change applies to.
UNTOUCHED_SHARE = 0.12
ROOM_SHARE = 0.35
EQUALISER_SHARE = 0.4
NOISE_SHARE = 0.7
TELEPHONE_SHARE = 0.18
MU_LAW_SHARE = 0.1  # of those that are not telephone
CLIPPING_SHARE = 0.05

_TINY = 1e-9


class Augmenter:
    """Two sets of dice: `rng` decides, `dice` makes the random signals."""

    def __init__(self, *, noises: NoiseBank, rng: Random, dice: np.random.Generator) -> None:
        """Take the noise bank that is mixed in."""
        self._noises = noises
        self._rng = rng
        self._dice = dice

    def apply(self, samples: Samples) -> Samples:
        """Change one utterance; the length stays.

        Args:
            samples: (num_samples,) float32 at 16 kHz, peak at about 1.0, digital silence around the speech.

        Returns:
            (num_samples,) float32 in [-1, 1]; 12 % only change level and keep their digital silence, all others are
            rounded to 16 bits.
        """
        rng = self._rng
        if rng.random() < UNTOUCHED_SHARE:
            return samples * np.float32(rng.uniform(0.1, 0.95))
        if rng.random() < ROOM_SHARE:
            samples = self._in_a_room(samples)
        if rng.random() < EQUALISER_SHARE:
            for _ in range(rng.randint(1, 2)):
                samples = self._through_an_equaliser(samples)
        samples = self._with_noise(samples)
        if rng.random() < TELEPHONE_SHARE:
            samples = self._over_the_telephone(samples)
        elif rng.random() < MU_LAW_SHARE:
            samples = through_mu_law(samples / _peak(samples))
        if rng.random() < CLIPPING_SHARE:
            samples = np.clip(samples / _peak(samples) * rng.uniform(1.2, 3), -1, 1)
        else:
            samples = samples / _peak(samples)
        levelled = samples * 10 ** (-rng.uniform(1, 30) / 20)
        return (np.round(levelled * 32_767) / 32_768).astype(np.float32)

    def _in_a_room(self, samples: Samples) -> Samples:
        """Convolve with noise that decays exponentially (60 dB in 80..600 ms), the direct sound first."""
        rng = self._rng
        decay_s = rng.uniform(0.08, 0.6)
        num_taps = int(SAMPLE_RATE_HZ * min(0.35, decay_s))
        tail = self._dice.standard_normal(num_taps) * np.exp(-6.9 * np.arange(num_taps) / SAMPLE_RATE_HZ / decay_s)
        tail *= rng.uniform(0.05, 0.5) / np.sqrt((tail**2).sum())
        tail[: int(SAMPLE_RATE_HZ * rng.uniform(0.001, 0.006))] = 0
        tail[0] = 1
        return scipy.signal.oaconvolve(samples, tail.astype(np.float32))[: len(samples)].astype(np.float32)

    def _through_an_equaliser(self, samples: Samples) -> Samples:
        """One peaking filter, +-9 dB, 100..7000 Hz. Source: the Audio EQ Cookbook's peakingEQ."""
        rng = self._rng
        centre_hz = np.exp(rng.uniform(np.log(100), np.log(7000)))
        gain = 10 ** (rng.uniform(-9, 9) / 40)
        angle = 2 * np.pi * centre_hz / SAMPLE_RATE_HZ
        alpha = np.sin(angle) / (2 * rng.uniform(0.4, 1.5))
        numerator = np.array([1 + alpha * gain, -2 * np.cos(angle), 1 - alpha * gain])
        denominator = np.array([1 + alpha / gain, -2 * np.cos(angle), 1 - alpha / gain])
        return scipy.signal.lfilter(numerator / denominator[0], denominator / denominator[0], samples).astype(
            np.float32
        )

    def _with_noise(self, samples: Samples) -> Samples:
        """Add a noise of the bank at 4..32 dB below the speech, or else a faint hiss at 30..65 dB."""
        rng = self._rng
        level = _rms(samples)
        if rng.random() < NOISE_SHARE:
            noise, below_db = self._noises.draw(rng, len(samples)), rng.uniform(4, 32)
        else:
            noise, below_db = self._dice.standard_normal(len(samples)).astype(np.float32), rng.uniform(30, 65)
        return samples + noise * np.float32(level * 10 ** (-below_db / 20))

    def _over_the_telephone(self, samples: Samples) -> Samples:
        """Down to 8 kHz and back; 60 % with the narrow band, 60 % with mu-law."""
        rng = self._rng
        narrow = to_telephone_rate(samples, quality="MQ")
        if rng.random() < 0.6:
            narrow = band_pass(narrow, low_hz=rng.uniform(100, 300), high_hz=rng.uniform(3300, 3900))
        if rng.random() < 0.6:
            narrow = through_mu_law(narrow / _peak(narrow) * rng.uniform(0.1, 1))
        wide = from_telephone_rate(narrow, quality="MQ")[: len(samples)]
        return np.pad(wide, (0, len(samples) - len(wide)))


def with_noise_at(
    samples: Samples, noises: NoiseBank, rng: Random, *, names: tuple[str, ...], below_db: float
) -> Samples:
    """Add one of the named noises at a fixed distance below the speech; peak at 0.5."""
    noise = noises.named(rng.choice(names), rng, len(samples))
    noisy = samples + noise * np.float32(_rms(samples) * 10 ** (-below_db / 20))
    return noisy / _peak(noisy) * np.float32(0.5)


def over_a_plain_telephone(samples: Samples, dice: np.random.Generator) -> Samples:
    """The fixed telephone of the test sets: 250..3500 Hz, a faint hiss, mu-law at 8 kHz."""
    narrow = band_pass(to_telephone_rate(samples), low_hz=250, high_hz=3500)
    line = narrow / (_peak(narrow) * 1.5) + dice.standard_normal(len(narrow)) * 0.002
    return from_telephone_rate(through_mu_law(np.clip(line, -1, 1))) * np.float32(0.8)


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max()) + _TINY


def _rms(samples: Samples) -> float:
    return float(np.sqrt((samples**2).mean())) + _TINY
