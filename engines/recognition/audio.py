"""The audio of one stream that may still be read, by its place on the session's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.interface import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    from engines.contract import FloatArray

FULL_SCALE = 32_768


class AudioQueue:
    """Samples [start_sample, end_sample). Whoever reads says when what lies behind may go."""

    def __init__(self, start_sample: int) -> None:
        self.start_sample = start_sample
        self._pcm16 = bytearray()

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self._pcm16) // BYTES_PER_SAMPLE

    def append(self, pcm16: bytes) -> None:
        """Append 16-bit little-endian mono samples."""
        self._pcm16 += pcm16

    def read(self, start_sample: int, end_sample: int, *, silent_from_sample: int) -> FloatArray:
        """Give [start_sample, end_sample) as float32 in [-1, 1), with silence from `silent_from_sample` on.

        Raises:
            LookupError: the first of them were dropped.
        """
        samples = np.zeros(end_sample - start_sample, np.float32)
        heard_until = min(end_sample, silent_from_sample)
        if heard_until > start_sample:
            if start_sample < self.start_sample:
                raise LookupError(f"audio before {self.start_sample} is gone, {start_sample} was wanted")
            first = (start_sample - self.start_sample) * BYTES_PER_SAMPLE
            last = (heard_until - self.start_sample) * BYTES_PER_SAMPLE
            pcm16 = np.frombuffer(bytes(self._pcm16[first:last]), "<i2")
            np.divide(pcm16, np.float32(FULL_SCALE), out=samples[: heard_until - start_sample])
        return samples

    def drop_before(self, sample: int) -> None:
        """Forget what lies before `sample`."""
        gone = sample - self.start_sample
        if gone > 0:
            del self._pcm16[: gone * BYTES_PER_SAMPLE]
            self.start_sample = sample
