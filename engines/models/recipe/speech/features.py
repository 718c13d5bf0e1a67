"""Log-mel features as sherpa-onnx 2.0.1 computes them for a streaming NeMo CTC model, which are also NeMo's own.

Found by matching: of 64 front ends only this one gave sherpa-onnx's text for 20 of 20 signals. Older releases of
sherpa-onnx (1.13.4 and before, read in their source) differ: another window, mel scale and band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import kaldi_native_fbank
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
NUM_MELS = 80
FRAMES_PER_SECOND = 100
# log(2^-23), the floor of the natural logarithm in kaldi-native-fbank: every bin of a frame of digital silence.
DIGITAL_SILENCE = -15.9424


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn speech into log-mel features.

    Args:
        samples: (num_samples,) float32 in [-1, 1], mono, 16 kHz.

    Returns:
        (num_frames, 80) float32, one 25 ms Hann window per 10 ms; natural log, slaney mels 0..8000 Hz, pre-emphasis
        0.97, no dither, no DC removal, no normalisation; (0, 80) when there is no audio.
    """
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE_HZ
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = False
    options.frame_opts.window_type = "hann"
    options.frame_opts.remove_dc_offset = False
    options.mel_opts.num_bins = NUM_MELS
    options.mel_opts.low_freq = 0
    options.mel_opts.high_freq = SAMPLE_RATE_HZ // 2
    options.mel_opts.is_librosa = True
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(SAMPLE_RATE_HZ, samples)
    bank.input_finished()
    if not bank.num_frames_ready:
        return np.zeros((0, NUM_MELS), np.float32)
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])
