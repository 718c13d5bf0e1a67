"""Log-mel features as streaming models want them, given out as audio comes in.

Each stream's are computed by themselves, in blocks that are counted from the start of its utterance: what a frame comes
to cannot depend on who shares the step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.contract import NEMO_FRONT_END
from engines.recognition.front_ends import frame_window, mel_filters

if TYPE_CHECKING:
    import numpy.typing as npt

    from engines.contract import FloatArray, FrontEnd

    DoubleArray = npt.NDArray[np.float64]

SHIFT_SAMPLES = 160
"""10 ms from one frame to the next."""
LOOK_AHEAD_SAMPLES = 280
"""Frame i spans the 25 ms around its middle, [160 i - 120, 160 i + 280); before sample 0 the audio is mirrored."""

_FRAME_SAMPLES = 400
_MIRRORED_SAMPLES = _FRAME_SAMPLES - LOOK_AHEAD_SAMPLES
_KEPT_SAMPLES = _FRAME_SAMPLES - SHIFT_SAMPLES
"""What the next frame shares with the last one."""
_FFT_SIZE = 512
_PRE_EMPHASIS = 0.97
_FLOOR = float(np.finfo(np.float32).eps)
_BLOCK_FRAMES = 32
_BAND_FILTERS = 20
"""With blocks and bands so small a matrix product stays in the cache and below what OpenBLAS hands to more threads."""


def samples_needed(frames: int) -> int:
    """How much audio the first `frames` frames take; 0 frames take none."""
    return SHIFT_SAMPLES * (frames - 1) + LOOK_AHEAD_SAMPLES if frames else 0


class LogMel:
    """A front end of kaldi-native-fbank.

    In double precision up to the spectrum, as numpy's FFT of doubles is the faster one, and in single from there on.

    Source: of 64 settings of kaldi-native-fbank NeMo's front end is the only one that gave sherpa-onnx 2.0.1's text on
    every test signal for a NeMo model; Kaldi's is checked the same way in tests/interop/test_transducers.py.
    """

    def __init__(self, *, feature_dim: int, front_end: FrontEnd = NEMO_FRONT_END) -> None:
        self.feature_dim = feature_dim
        self.front_end = front_end
        self._window = frame_window(front_end, samples=_FRAME_SAMPLES)
        filters = mel_filters(front_end, count=feature_dim, fft_size=_FFT_SIZE)
        self._bands = []
        for first in range(0, feature_dim, _BAND_FILTERS):
            band = filters[:, first : first + _BAND_FILTERS]
            heard = np.flatnonzero(band.any(axis=1))
            bins = slice(int(heard[0]), int(heard[-1]) + 1)
            weights = np.ascontiguousarray(band[bins], np.float32)
            self._bands.append((slice(first, first + band.shape[1]), bins, weights))
        # Windows are shorter than the transform: what lies behind them stays zero.
        self._frames = np.zeros((_BLOCK_FRAMES, _FFT_SIZE))
        bins_count = _FFT_SIZE // 2 + 1
        self._squares = np.empty((_BLOCK_FRAMES, 2 * bins_count), np.float32)
        self._power = np.empty((_BLOCK_FRAMES, bins_count), np.float32)

    def write(self, samples: FloatArray, features: FloatArray) -> None:
        """Compute the frames that begin at every 160th sample.

        Args:
            samples: (160 (frames - 1) + 400,) float32 in [-1, 1].
            features: (frames, feature_dim) float32, written to.
        """
        doubles = samples.astype(np.float64)
        # The first sample of a frame lacks the one before it; that goes unheard: the window begins with zero.
        emphasised = np.zeros_like(doubles)
        np.multiply(doubles[:-1], -_PRE_EMPHASIS, out=emphasised[1:])
        emphasised += doubles
        # A view: numpy's sliding_window_view takes 7 us, a tenth of all this.
        strides = (SHIFT_SAMPLES * emphasised.itemsize, emphasised.itemsize)
        shape = (len(features), _FRAME_SAMPLES)
        frames: DoubleArray = np.ndarray(shape, np.float64, emphasised, 0, strides)
        if self.front_end.removes_offset:
            # What pre-emphasis leaves of each frame's own offset, so that one array still serves all frames.
            offsets = np.ndarray(shape, np.float64, doubles, 0, strides).mean(axis=1) * (1 - _PRE_EMPHASIS)
            frames = frames - offsets[:, None]
        for first in range(0, len(frames), _BLOCK_FRAMES):
            block = frames[first : first + _BLOCK_FRAMES]
            self._log_mel(block, features[first : first + len(block)])

    def _log_mel(self, frames: DoubleArray, log_energies: FloatArray) -> None:
        count = len(frames)
        windowed, squares, power = self._frames[:count], self._squares[:count], self._power[:count]
        np.multiply(frames, self._window, out=windowed[:, :_FRAME_SAMPLES])
        squares[:] = np.fft.rfft(windowed).view(np.float64)
        np.multiply(squares, squares, out=squares)
        np.add(squares[:, ::2], squares[:, 1::2], out=power)
        for filters, bins, weights in self._bands:
            np.matmul(power[:, bins], weights, out=log_energies[:, filters])
        np.maximum(log_energies, _FLOOR, out=log_energies)
        np.log(log_energies, out=log_energies)


class FeatureWindows:
    """Cuts one utterance's features into the overlapping windows that steps read.

    A frame's values depend on its own samples and its place alone, so they are the same however the audio was cut.
    """

    def __init__(self, log_mel: LogMel, *, window_frames: int, shift_frames: int) -> None:
        self._log_mel = log_mel
        self._shift_frames = shift_frames
        self._window: FloatArray = np.zeros((window_frames, log_mel.feature_dim), np.float32)
        self._last_samples: FloatArray | None = None

    def next_window(self, samples: FloatArray) -> FloatArray:
        """Give the window of the next step.

        Args:
            samples: float32 in [-1, 1], the audio since the last call up to `samples_needed` of this window's end.

        Returns:
            (window_frames, feature_dim) float32, overwritten by the next call.
        """
        window = self._window
        if self._last_samples is None:
            before = samples[:_MIRRORED_SAMPLES][::-1]
            kept = 0
        else:
            before = self._last_samples
            kept = len(window) - self._shift_frames
            window[:kept] = window[self._shift_frames :]
        samples = np.concatenate((before, samples))
        self._last_samples = samples[-_KEPT_SAMPLES:].copy()
        self._log_mel.write(samples, window[kept:])
        return window
