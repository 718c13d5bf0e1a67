"""Messages that hold samples as they are: decoded in place, each message whole instants of every channel.

`PassThrough` is the hot path of the whole gateway (16 kHz mono PCM16): it copies nothing and computes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.inline import InlineDecoder, deliver, ignore
from gateway.audio.interface import MAX_PCM_BYTES, PCM_RATE_HZ, GapExtent
from gateway.audio.samples import SampleReader, SampleType
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from gateway.audio.interface import OnError, OnPcm, OnReached
    from policies.facts import AudioFormat

_SAMPLE_TYPES = {
    AudioEncoding.pcm_s16le: SampleType.s16le,
    AudioEncoding.pcm_f32le: SampleType.f32le,
    AudioEncoding.mulaw: SampleType.mulaw,
    AudioEncoding.alaw: SampleType.alaw,
}


def misaligned(audio_format: AudioFormat, num_bytes: int) -> ClientFault:
    """The refusal of a message that does not hold whole instants."""
    channels = "1 channel" if audio_format.channels == 1 else f"{audio_format.channels} channels"
    return ClientFault(
        Reason.misaligned_audio,
        f"a message of {audio_format.encoding} with {channels} must be a multiple of "
        f"{audio_format.bytes_per_instant} bytes, not {num_bytes}",
    )


class PassThrough:
    """16 kHz mono PCM16: the client's bytes themselves are handed on."""

    __slots__ = ("_format", "_on_error", "_on_pcm")
    is_inline = True
    pending_bytes = 0

    def __init__(self, audio_format: AudioFormat, *, on_pcm: OnPcm, on_error: OnError) -> None:
        self._format = audio_format
        self._on_pcm = on_pcm
        self._on_error = on_error

    def feed(self, data: bytes) -> None:
        num_bytes = len(data)
        if 0 < num_bytes <= MAX_PCM_BYTES and not num_bytes & 1:
            self._on_pcm(data)
        elif num_bytes & 1:
            on_error = self._on_error
            self.close()
            on_error(misaligned(self._format, num_bytes))
        else:
            # The callback may close the decoder between two pieces.
            deliver(data, lambda piece: self._on_pcm(piece))

    def extent_of_gap(self, samples: int) -> GapExtent:
        return GapExtent(0, samples)

    def feed_silence(self, samples: int) -> None:
        self.feed(bytes(samples * self._format.bytes_per_instant))

    def mark(self, on_reached: OnReached) -> None:
        if self._on_pcm is not ignore:
            on_reached()

    def finish(self, on_finished: OnReached) -> None:
        if self._on_pcm is not ignore:
            self.close()
            on_finished()

    def pause(self) -> None:
        """Nothing waits here."""

    def resume(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self._on_pcm = ignore
        self._on_error = ignore


class RawDecoder(InlineDecoder):
    """PCM, float, µ-law and A-law at any rate, of any channel."""

    def __init__(self, audio_format: AudioFormat, *, on_pcm: OnPcm, on_error: OnError) -> None:
        super().__init__(audio_format.sample_rate_hz, on_pcm=on_pcm, on_error=on_error)
        self._format = audio_format
        self._bytes_per_instant = audio_format.bytes_per_instant
        self._reader = SampleReader(
            _SAMPLE_TYPES[audio_format.encoding], channels=audio_format.channels, channel=audio_format.channel
        )

    def _decode(self, data: bytes) -> bytes:
        if len(data) % self._bytes_per_instant:
            raise misaligned(self._format, len(data))
        return self._resample(self._reader.read(data))


def open_raw(audio_format: AudioFormat, *, on_pcm: OnPcm, on_error: OnError) -> PassThrough | RawDecoder:
    """The cheapest decoder for a raw format."""
    if (
        audio_format.encoding is AudioEncoding.pcm_s16le
        and audio_format.channels == 1
        and audio_format.sample_rate_hz == PCM_RATE_HZ
    ):
        return PassThrough(audio_format, on_pcm=on_pcm, on_error=on_error)
    return RawDecoder(audio_format, on_pcm=on_pcm, on_error=on_error)
