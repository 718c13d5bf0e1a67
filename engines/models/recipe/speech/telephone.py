"""The telephone's band and its mu-law, as smooth functions of the waveform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.signal
import soxr

from engines.models.recipe.speech.features import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

TELEPHONE_RATE_HZ = 8_000
_MU = 255
_STEPS_PER_SIDE = 127


def through_mu_law(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Quantise samples in [-1, 1] to the 255 levels of the continuous mu-law curve of G.711, and back."""
    compressed = np.sign(samples) * np.log1p(_MU * np.abs(samples)) / np.log(_MU + 1)
    quantised = np.round(compressed * _STEPS_PER_SIDE) / _STEPS_PER_SIDE
    return (np.sign(quantised) * ((_MU + 1) ** np.abs(quantised) - 1) / _MU).astype(np.float32)


def band_pass(samples: NDArray[np.floating], *, low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """Third-order Butterworth band at 8 kHz."""
    sections = scipy.signal.butter(3, [low_hz, high_hz], "band", fs=TELEPHONE_RATE_HZ, output="sos")
    return scipy.signal.sosfilt(sections, samples).astype(np.float32)


def to_telephone_rate(samples: NDArray[np.float32], *, quality: str = "HQ") -> NDArray[np.float32]:
    """16 kHz to 8 kHz."""
    return soxr.resample(samples, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ, quality=quality)


def from_telephone_rate(samples: NDArray[np.float32], *, quality: str = "HQ") -> NDArray[np.float32]:
    """8 kHz to 16 kHz; the upper band stays empty."""
    return soxr.resample(samples, TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ, quality=quality)
