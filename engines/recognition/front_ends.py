"""What a front end is made of: the window that a frame is seen through, and the filters that sum its spectrum.

Source: kaldi-native-fbank, feature-window.cc and mel-computations.cc; engines/recognition/feature_check.py holds what
comes of it against that library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.interface import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    from engines.contract import FrontEnd

    DoubleArray = npt.NDArray[np.float64]

_POVEY_POWER = 0.85
_SLANEY_LINEAR_MELS = 15
"""Up to here, which is 1,000 Hz, the scale is linear; above, 27 mels are a factor of 6.4."""
_SLANEY_LINEAR_HZ = 1_000
_SLANEY_LOG_STEP = np.log(6.4) / 27
_HTK_FACTOR, _HTK_CORNER_HZ = 1_127.0, 700.0


def frame_window(front_end: FrontEnd, *, samples: int) -> DoubleArray:
    """Give (samples,) weights; the first is zero."""
    # A periodic window would reach zero again with the sample behind its last one, Kaldi's does with its last.
    period = samples if front_end.window == "hann" else samples - 1
    hann: DoubleArray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / period)
    return hann if front_end.window == "hann" else np.maximum(hann, 0) ** _POVEY_POWER


def mel_filters(front_end: FrontEnd, *, count: int, fft_size: int) -> DoubleArray:
    """Give (fft_size / 2 + 1, count) weights of the power spectrum: triangles with corners evenly spaced in mels."""
    bins_hz = np.arange(fft_size // 2 + 1) * SAMPLE_RATE_HZ / fft_size
    edges_hz = np.array([front_end.lowest_hz, front_end.highest_hz], np.float64)
    to_mels = _slaney_mels if front_end.mel == "slaney" else _htk_mels
    lowest_mel, highest_mel = to_mels(edges_hz).tolist()
    corners = np.linspace(lowest_mel, highest_mel, count + 2)
    if front_end.mel == "slaney":
        # Of area 1 Hz, with straight sides in Hz (librosa.filters.mel, htk=False, norm="slaney").
        corners_hz = _slaney_hz(corners)
        return _triangles(bins_hz, corners_hz) * (2 / (corners_hz[2:] - corners_hz[:-2]))
    # Of height 1, with straight sides in mels.
    return _triangles(_htk_mels(bins_hz), corners)


def _triangles(bins: DoubleArray, corners: DoubleArray) -> DoubleArray:
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, None] - left) / (middle - left)
    falling = (right - bins[:, None]) / (right - middle)
    triangles: DoubleArray = np.maximum(0, np.minimum(rising, falling))
    return triangles


def _htk_mels(hz: DoubleArray) -> DoubleArray:
    return _HTK_FACTOR * np.log1p(hz / _HTK_CORNER_HZ)


def _slaney_mels(hz: DoubleArray) -> DoubleArray:
    linear = hz * _SLANEY_LINEAR_MELS / _SLANEY_LINEAR_HZ
    above = _SLANEY_LINEAR_MELS + np.log(np.maximum(hz, _SLANEY_LINEAR_HZ) / _SLANEY_LINEAR_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_LINEAR_HZ, linear, above)


def _slaney_hz(mels: DoubleArray) -> DoubleArray:
    above = _SLANEY_LINEAR_HZ * np.exp(_SLANEY_LOG_STEP * (mels - _SLANEY_LINEAR_MELS))
    return np.where(mels < _SLANEY_LINEAR_MELS, mels * _SLANEY_LINEAR_HZ / _SLANEY_LINEAR_MELS, above)
