"""What the first bytes of a packet and of an OpusHead say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.opus_packet import MAX_PACKET_SAMPLES, packet_samples, parse_opus_head
from gateway.errors import ClientFault

pytestmark = pytest.mark.unit

MONO_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


@pytest.mark.parametrize("packet_ms", ["2.5", "5", "10", "20", "40", "60", "80", "100", "120"])
def test_the_length_of_real_packets_is_read(studio, packet_ms):
    packets = studio.encode_opus_packets(studio.speech_like(48_000, duration_ms=480), packet_ms=packet_ms)
    assert {packet_samples(packet) for packet in packets} == {int(float(packet_ms) * 48)}


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\xff\x3f", b"\x1b\x03"])
def test_what_cannot_be_a_packet_is_known(packet):
    assert packet_samples(packet) is None


@given(st.binary(max_size=8))
def test_no_packet_is_longer_than_120_ms(packet):
    samples = packet_samples(packet)
    assert samples is None or 0 < samples <= MAX_PACKET_SAMPLES


def test_the_pre_skip_is_taken_out_of_the_codecs_hands():
    head = parse_opus_head(MONO_HEAD)
    assert (head.channels, head.pre_skip_samples) == (1, 0x138)
    assert head.extradata == MONO_HEAD.replace(b"\x38\x01\x80", b"\0\0\x80")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        MONO_HEAD[:18],
        MONO_HEAD.replace(b"\x01\x01\x38", b"\x11\x01\x38"),
        MONO_HEAD.replace(b"\x01\x01\x38", b"\x01\x00\x38"),
        MONO_HEAD.replace(b"\x01\x01\x38", b"\x01\x03\x38"),
        MONO_HEAD[:-1] + b"\x01",
        MONO_HEAD[:-1] + b"\x01" + b"\x00\x00\x00",
        MONO_HEAD[:-1] + b"\x01" + b"\x01\x02\x00",
        MONO_HEAD[:-1] + b"\x01" + b"\x01\x00\x01",
    ],
)
def test_a_head_that_the_standard_does_not_allow_is_refused(head):
    with pytest.raises(ClientFault, match="OpusHead"):
        parse_opus_head(head)
