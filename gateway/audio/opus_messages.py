"""Opus without a container: each message is one packet of 2.5 to 120 ms, decoded in place.

Packets say nothing of a pre-skip, so none is skipped. Lost packets are silence of their length: nothing is made up for
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.codecs import BadPacket, LibavDecoder
from gateway.audio.faults import bad_format, undecodable
from gateway.audio.inline import InlineDecoder
from gateway.audio.opus_packet import OPUS_RATE_HZ, packet_samples
from gateway.audio.stream_events import Codec, StreamStart

if TYPE_CHECKING:
    from gateway.audio.interface import OnError, OnPcm
    from policies.facts import AudioFormat

_MAX_CHANNELS = 2


class OpusMessageDecoder(InlineDecoder):
    """A stereo packet announced as mono is mixed down; a mono packet announced as stereo fills both channels."""

    def __init__(self, audio_format: AudioFormat, *, on_pcm: OnPcm, on_error: OnError) -> None:
        if audio_format.channels > _MAX_CHANNELS:
            raise bad_format(f"opus packets have 1 or 2 channels, not {audio_format.channels}")
        super().__init__(OPUS_RATE_HZ, on_pcm=on_pcm, on_error=on_error)
        self._announced_rate_hz = audio_format.sample_rate_hz
        self._announced_silence = 0
        self._codec = LibavDecoder(StreamStart(Codec.opus, OPUS_RATE_HZ, audio_format.channels), audio_format.channel)

    def _decode(self, data: bytes) -> bytes:
        if packet_samples(data) is None:
            raise undecodable(
                f"a message must be one Opus packet of 2.5 to 120 ms; {len(data)} bytes came that are none"
            )
        try:
            decoded = self._codec.decode(data)
        except BadPacket:
            raise undecodable(f"a message must be one Opus packet; {len(data)} bytes came that are none") from None
        return b"".join([self._resample(piece.samples) for piece in decoded])

    def _silent_samples(self, samples: int) -> int:
        """From the sum of all gaps, so that their fractions add up."""
        before, after = self._announced_silence, self._announced_silence + samples
        return after * OPUS_RATE_HZ // self._announced_rate_hz - before * OPUS_RATE_HZ // self._announced_rate_hz

    def feed_silence(self, samples: int) -> None:
        super().feed_silence(samples)
        self._announced_silence += samples
