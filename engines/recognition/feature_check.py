"""Holds the features against kaldi-native-fbank, whose front ends they are, at every start of an engine.

LogMel computes them in a fifth of that library's time (docs/benchmarks.md); a numpy that computes otherwise must not go
unnoticed: a model gives wrong words for wrong features, and no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import kaldi_native_fbank
import numpy as np

from engines.contract import NEMO_FRONT_END
from engines.interface import SAMPLE_RATE_HZ
from engines.recognition.features import FeatureWindows, LogMel, samples_needed

if TYPE_CHECKING:
    from engines.contract import FloatArray, FrontEnd

TOLERANCE = 2e-3
"""Natural logarithms of energies; ten times what single and double precision differ by on speech."""
_FRAMES = 96
_SEED = 1


def fbank_options(*, feature_dim: int, front_end: FrontEnd = NEMO_FRONT_END) -> kaldi_native_fbank.FbankOptions:
    """The library's name for a front end."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE_HZ
    options.frame_opts.window_type = front_end.window
    options.frame_opts.remove_dc_offset = front_end.removes_offset
    options.frame_opts.preemph_coeff = 0.97
    options.frame_opts.snip_edges = False
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = feature_dim
    options.mel_opts.low_freq = front_end.lowest_hz
    options.mel_opts.high_freq = front_end.highest_hz
    options.mel_opts.is_librosa = front_end.mel == "slaney"
    return options


def largest_difference(log_mel: LogMel) -> float:
    """Of any value, between ours and the library's, on a second of noise that swells."""
    samples = _swelling_noise(samples_needed(_FRAMES))
    ours = FeatureWindows(log_mel, window_frames=_FRAMES, shift_frames=_FRAMES).next_window(samples)
    fbank = kaldi_native_fbank.OnlineFbank(fbank_options(feature_dim=log_mel.feature_dim, front_end=log_mel.front_end))
    fbank.accept_waveform(SAMPLE_RATE_HZ, samples.tolist())
    theirs = np.stack([fbank.get_frame(frame) for frame in range(_FRAMES)])
    return float(np.abs(ours - theirs).max())


def feature_mistakes(log_mel: LogMel) -> list[str]:
    """A sentence if the features are not the library's; none if they are."""
    difference = largest_difference(log_mel)
    if difference <= TOLERANCE:
        return []
    return [
        f"features differ from kaldi-native-fbank's by {difference:.2g}, more than {TOLERANCE}: which numpy is this?"
    ]


def _swelling_noise(num_samples: int) -> FloatArray:
    noise = np.random.Generator(np.random.PCG64(_SEED)).uniform(-1, 1, num_samples)
    return (noise * np.linspace(1e-3, 0.5, num_samples)).astype(np.float32)
