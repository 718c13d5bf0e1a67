"""One channel at any rate to 16 kHz, 16-bit: streaming, chunk by chunk, with nothing lost at the end.

The output does not depend on how the input was cut. All of it together has the duration of the input to within one
sample, and no delay of more than half a sample against it.

soxr holds back what its filters still need. Its fixed-rate engine holds back 37-40 ms at 24, 44.1 and 48 kHz and at
most 80 ms at other rates above 16 kHz, for about 10 µs per 20 ms of audio. At 8 kHz that would be 115 ms, which a
caller sees as late captions; there its variable-rate engine runs at a constant ratio and holds back 30 ms (40 at 6 kHz,
less above) for the same cost. Above 16 kHz it would cost three times as much and not keep phases linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.interface import PCM_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]


class Resampler:
    """Made anew for each stream. Samples are float32 in the scale of 16 bits."""

    def __init__(self, input_rate_hz: int) -> None:
        import numpy as np

        self._np = np
        self._stream = None
        if input_rate_hz != PCM_RATE_HZ:
            import soxr

            self._stream = soxr.ResampleStream(
                input_rate_hz, PCM_RATE_HZ, 1, dtype="float32", quality="HQ", vr=input_rate_hz < PCM_RATE_HZ
            )

    def accept(self, samples: FloatArray) -> bytes:
        """(num_samples,) in; 16-bit little-endian samples out, perhaps none yet."""
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples)
        return self._to_pcm16(samples)

    def silence(self, num_samples: int) -> FloatArray:
        """(num_samples,) that nothing is heard in."""
        return self._np.zeros(num_samples, self._np.float32)

    def finish(self) -> bytes:
        """What is held back. Nothing may be accepted after it."""
        if self._stream is None:
            return b""
        return self._to_pcm16(self._stream.resample_chunk(self._np.zeros(0, self._np.float32), last=True))

    def _to_pcm16(self, samples: FloatArray) -> bytes:
        return self._np.rint(samples).clip(-32_768, 32_767).astype("<i2").tobytes()
