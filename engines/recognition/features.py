"""Log-mel features as streaming NeMo CTC models want them, given out as audio comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kaldi_native_fbank
import numpy as np

from engines.interface import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from engines.interface import FloatArray

SHIFT_SAMPLES = 160
"""10 ms from one frame to the next."""
LOOK_AHEAD_SAMPLES = 280
"""Frame i spans the 25 ms around its middle, [160 i - 120, 160 i + 280); before sample 0 the audio is mirrored."""

_HIGHEST_HZ = 8_000


def samples_needed(frames: int) -> int:
    """How much audio the first `frames` frames take; 0 frames take none."""
    return SHIFT_SAMPLES * (frames - 1) + LOOK_AHEAD_SAMPLES if frames else 0


def fbank_options(*, feature_dim: int) -> kaldi_native_fbank.FbankOptions:
    """Set the front end of NeMo's streaming models as sherpa-onnx 2.0.1 computes it.

    Periodic Hann window, Slaney mel scale 0-8,000 Hz, no removal of the mean, pre-emphasis 0.97, no dither, natural
    logarithm.

    Source: the only one of 64 settings that gave sherpa-onnx 2.0.1's text on every test signal.
    """
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE_HZ
    options.frame_opts.window_type = "hann"
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.preemph_coeff = 0.97
    options.frame_opts.snip_edges = False
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = feature_dim
    options.mel_opts.low_freq = 0.0
    options.mel_opts.high_freq = _HIGHEST_HZ
    options.mel_opts.is_librosa = True
    return options


class FeatureWindows:
    """Cuts one utterance's features into the overlapping windows that steps read.

    A frame's values depend on its own samples alone, so they are the same however the audio was cut.
    """

    def __init__(self, options: kaldi_native_fbank.FbankOptions, *, window_frames: int, shift_frames: int) -> None:
        self._fbank = kaldi_native_fbank.OnlineFbank(options)
        self._shift_frames = shift_frames
        self._window: FloatArray = np.zeros((window_frames, options.mel_opts.num_bins), np.float32)
        self._frames_taken = 0

    def next_window(self, samples: FloatArray) -> FloatArray:
        """Give the window of the next step.

        Args:
            samples: float32 in [-1, 1], the audio since the last call up to `samples_needed` of this window's end.

        Returns:
            (window_frames, feature_dim) float32, overwritten by the next call.
        """
        # A list of Python floats crosses into C++ faster than an array, whose elements are boxed one by one.
        self._fbank.accept_waveform(SAMPLE_RATE_HZ, samples.tolist())
        window = self._window
        kept = len(window) - self._shift_frames if self._frames_taken else 0
        window[:kept] = window[len(window) - kept :]
        for row in range(kept, len(window)):
            window[row] = self._fbank.get_frame(self._frames_taken)
            self._frames_taken += 1
        self._fbank.pop(len(window) - kept)
        return window
