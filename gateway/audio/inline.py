"""What raw samples and Opus packets share: convert, resample, hand over, all before `feed` returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from gateway.audio.interface import MAX_PCM_BYTES, PCM_RATE_HZ, GapExtent
from gateway.audio.resample import Resampler
from gateway.errors import SessionRefused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gateway.audio.interface import OnError, OnPcm, OnReached

    FloatArray = npt.NDArray[np.float32]

_BYTES_PER_SAMPLE = 2


def deliver(pcm16: bytes, on_pcm: OnPcm) -> None:
    """Hand PCM over in pieces of at most a second."""
    if len(pcm16) <= MAX_PCM_BYTES:
        if pcm16:
            on_pcm(pcm16)
        return
    for start in range(0, len(pcm16), MAX_PCM_BYTES):
        on_pcm(pcm16[start : start + MAX_PCM_BYTES])


def ignore(_: object = None) -> None:
    """Stands in for a callback once nothing may be called back any more."""


class InlineDecoder(ABC):
    """An AudioDecoder without its decoding; a kind of audio says how one message becomes PCM."""

    is_inline = True
    pending_bytes = 0

    def __init__(self, sample_rate_hz: int, *, on_pcm: OnPcm, on_error: OnError) -> None:
        self._resampler = Resampler(sample_rate_hz)
        self._rate_hz = sample_rate_hz
        self._decoded_samples = 0
        self._given_samples = 0
        self._on_pcm = on_pcm
        self._on_error = on_error
        self._is_closed = False

    def feed(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            pcm16 = self._decode(data)
        except SessionRefused as refused:
            on_error = self._on_error
            self.close()
            on_error(refused)
            return
        self._deliver(pcm16)

    @abstractmethod
    def _decode(self, data: bytes) -> bytes:
        """One message to PCM. Raises SessionRefused."""

    def _resample(self, samples: FloatArray) -> bytes:
        """(num_samples,) at the decoder's own rate."""
        self._decoded_samples += len(samples)
        return self._resampler.accept(samples)

    def _silent_samples(self, samples: int) -> int:
        """So many at the announced rate, at the decoder's own."""
        return samples

    def extent_of_gap(self, samples: int) -> GapExtent:
        start = self._decoded_samples * PCM_RATE_HZ // self._rate_hz
        end = (self._decoded_samples + self._silent_samples(samples)) * PCM_RATE_HZ // self._rate_hz
        return GapExtent(max(0, start - self._given_samples), end - start)

    def feed_silence(self, samples: int) -> None:
        """Through the resampler, so that what it holds back stays before it and nothing is counted twice or rounded
        away.
        """
        if not self._is_closed:
            self._deliver(self._resample(self._resampler.silence(self._silent_samples(samples))))

    def _deliver(self, pcm16: bytes) -> None:
        self._given_samples += len(pcm16) // _BYTES_PER_SAMPLE
        # The callback may close the decoder between two pieces.
        deliver(pcm16, lambda piece: self._on_pcm(piece))

    def mark(self, on_reached: OnReached) -> None:
        if not self._is_closed:
            on_reached()

    def finish(self, on_finished: OnReached) -> None:
        if self._is_closed:
            return
        self._deliver(self._resampler.finish())
        if not self._is_closed:
            self.close()
            on_finished()

    def pause(self) -> None:  # noqa: B027  # what decodes at once has nothing to pause, in any subclass
        """Nothing waits here."""

    def resume(self) -> None:  # noqa: B027
        """Nothing waits here."""

    def close(self) -> None:
        self._is_closed = True
        self._on_pcm = ignore
        self._on_error = ignore
