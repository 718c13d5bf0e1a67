"""Packets to samples."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.audio.codecs import BadPacket, open_packet_decoder
from gateway.audio.samples import SampleType
from gateway.audio.stream_events import Codec, StreamStart

pytestmark = pytest.mark.unit


def test_samples_need_no_codec():
    start = StreamStart(Codec.samples, 44_100, 2, sample_type=SampleType.s16le)
    (decoded,) = open_packet_decoder(start, 1).decode(np.array([1, 2, 3, 4], "<i2").tobytes())
    assert (decoded.samples.tolist(), decoded.rate_hz) == ([2, 4], 44_100)


def test_a_packet_that_cannot_be_decoded_does_not_spoil_the_next(studio):
    packets = studio.encode_opus_packets(studio.speech_like(48_000, duration_ms=100))
    decoder = open_packet_decoder(StreamStart(Codec.opus, 48_000, 1), 0)
    for bad in (b"", b"\xff", b"\x03"):
        with pytest.raises(BadPacket):
            decoder.decode(bad)
    (decoded,) = decoder.decode(packets[0])
    assert (len(decoded.samples), decoded.rate_hz) == (960, 48_000)


@pytest.mark.parametrize("channels", range(1, 3))
def test_every_channel_of_opus_can_be_chosen(studio, channels):
    packets = studio.encode_opus_packets(studio.speech_like(48_000, duration_ms=200, channels=channels))
    for channel in range(channels):
        decoder = open_packet_decoder(StreamStart(Codec.opus, 48_000, channels), channel)
        assert sum(len(piece.samples) for packet in packets for piece in decoder.decode(packet)) == 960 * len(packets)
