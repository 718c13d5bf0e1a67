"""Packets to samples of one channel: libav's codecs, and samples that need none.

libav is imported by the constructor of what needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from gateway.audio.samples import SampleReader
from gateway.audio.stream_events import Codec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av import AudioCodecContext, AudioFrame

    from gateway.audio.stream_events import StreamStart

    FloatArray = npt.NDArray[np.float32]


class BadPacket(Exception):
    """A packet cannot be decoded; those after it perhaps can."""


class Decoded:
    """(num_samples,) float32 in ±32,768 of one channel, and their rate: an MP3 may change it from frame to frame."""

    __slots__ = ("rate_hz", "samples")

    def __init__(self, samples: FloatArray, rate_hz: int) -> None:
        self.samples = samples
        self.rate_hz = rate_hz


class PacketDecoder(Protocol):
    def decode(self, packet: bytes) -> list[Decoded]:
        """The packet's samples, in order.

        Raises:
            BadPacket: the next packet may be decoded all the same.
            ClientFault: no packet after this can help.
        """


class SamplesDecoder:
    """Packets of whole instants, as they lie in a WAV."""

    def __init__(self, start: StreamStart, channel: int) -> None:
        assert start.sample_type is not None
        self._rate_hz = start.sample_rate_hz
        self._reader = SampleReader(start.sample_type, channels=start.channels, channel=channel)

    def decode(self, packet: bytes) -> list[Decoded]:
        return [Decoded(self._reader.read(packet), self._rate_hz)]


class LibavDecoder:
    """Opus, MP3 and FLAC: every packet decodes by itself, so there is nothing to flush at the end."""

    def __init__(self, start: StreamStart, channel: int) -> None:
        import numpy as np
        from av import CodecContext, Packet
        from av.error import FFmpegError

        self._np = np
        self._new_packet = Packet
        self._error = FFmpegError
        self._channel = channel
        # The stubs say that `create` makes a codec's context of any kind.
        context = cast("AudioCodecContext", CodecContext.create(start.codec.value, "r"))
        context.thread_count = 1
        context.sample_rate = start.sample_rate_hz
        if start.codec is Codec.opus:
            context.layout = _LAYOUTS[start.channels]
        if start.codec is Codec.flac:
            # A wrong guess of where a frame ends has to be an error.
            context.options = {"err_detect": "crccheck+explode"}
        if start.extradata:
            context.extradata = start.extradata
        self._context = context

    def decode(self, packet: bytes) -> list[Decoded]:
        if not packet:
            raise BadPacket
        try:
            frames = self._context.decode(self._new_packet(packet))
        except self._error as error:
            raise BadPacket from error
        return [self._one_channel(frame) for frame in frames]

    def _one_channel(self, frame: AudioFrame) -> Decoded:
        layout, scale = _SAMPLE_LAYOUTS[frame.format.packed.name]
        channels = frame.layout.nb_channels
        if self._channel >= channels:
            raise BadPacket
        if frame.format.is_planar:
            plane = frame.planes[self._channel]
            samples = self._np.frombuffer(memoryview(plane), layout, count=frame.samples)
        else:
            plane = frame.planes[0]
            every = self._np.frombuffer(memoryview(plane), layout, count=frame.samples * channels)
            samples = every[self._channel :: channels]
        scaled: FloatArray = samples.astype(self._np.float32)
        if scale != 1:
            scaled *= self._np.float32(scale)
        return Decoded(scaled, frame.sample_rate)


_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_SAMPLE_LAYOUTS = {"s16": ("<i2", 1.0), "s32": ("<i4", 1 / 65_536), "flt": ("<f4", 32_768.0)}


def open_packet_decoder(start: StreamStart, channel: int) -> PacketDecoder:
    """`channel` must be below `start.channels`."""
    if start.codec is Codec.samples:
        return SamplesDecoder(start, channel)
    return LibavDecoder(start, channel)
