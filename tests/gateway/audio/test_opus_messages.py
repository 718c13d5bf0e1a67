"""Opus packets without a container."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

PRE_SKIP_MS = 6.5
"""What libopus puts first at most (312 samples): packets without a container do not say it, so it is heard."""


@pytest.mark.parametrize("packet_ms", ["2.5", "20", "60", "120"])
async def test_packets_of_every_length_are_the_sound(studio, packet_ms):
    sound = studio.speech_like(48_000, duration_ms=1_200)
    packets = studio.encode_opus_packets(sound, packet_ms=packet_ms, bit_rate=64_000)
    listener = await studio.decode(studio.format_of(AudioEncoding.opus), packets)
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], 48_000)
    assert likeness > 0.97
    assert 0 < shift_ms <= PRE_SKIP_MS + 0.5
    assert len(listener.samples) == len(packets) * float(packet_ms) * 16


@pytest.mark.parametrize("channel", [0, 1])
async def test_the_chosen_channel_of_stereo_packets_is_heard(studio, channel):
    sound = studio.speech_like(48_000, channels=2)
    packets = studio.encode_opus_packets(sound, bit_rate=128_000)
    listener = await studio.decode(studio.format_of(AudioEncoding.opus, channels=2, channel=channel), packets)
    likeness, _ = studio.alignment(listener.samples, sound[:, channel], 48_000)
    other, _ = studio.alignment(listener.samples, sound[:, 1 - channel], 48_000)
    assert likeness > 0.97
    assert other < 0.6


async def test_stereo_packets_announced_as_mono_are_mixed(studio):
    sound = studio.speech_like(48_000, channels=2)
    listener = await studio.decode(
        studio.format_of(AudioEncoding.opus), studio.encode_opus_packets(sound, bit_rate=128_000)
    )
    likeness, _ = studio.alignment(listener.samples, sound.mean(1), 48_000)
    assert likeness > 0.97


@pytest.mark.parametrize("garbage", [b"", b"\x03", b"\xff", b"\xfb\xff\xff" * 3, b"\x01" * 4, b"OggS" + bytes(30)])
async def test_a_message_that_is_no_packet_is_refused(studio, garbage):
    listener = await studio.decode(studio.format_of(AudioEncoding.opus), [garbage])
    assert [error.reason for error in listener.errors] == [Reason.undecodable_audio]
    assert "one Opus packet" in listener.errors[0].detail


async def test_random_bytes_are_sound_or_refused(studio):
    rng = np.random.default_rng(1)
    for _ in range(200):
        listener = await studio.decode(studio.format_of(AudioEncoding.opus), [rng.bytes(int(rng.integers(0, 80)))])
        assert not listener.errors or listener.errors[0].reason is Reason.undecodable_audio
        assert len(listener.pcm) <= 3_840


async def test_more_than_two_channels_are_refused(studio):
    with pytest.raises(ClientFault, match="1 or 2 channels, not 3") as refused:
        await studio.decode(studio.format_of(AudioEncoding.opus, channels=3), [])
    assert refused.value.reason is Reason.bad_audio_format


@pytest.mark.parametrize("announced_hz", [8_000, 11_025, 44_100, 48_000])
async def test_lost_packets_are_silence_of_their_length_without_drift(studio, announced_hz):
    packets = studio.encode_opus_packets(studio.speech_like(48_000, duration_ms=200))[:10]
    listener = studio.Listener()
    decoder = studio.open(studio.format_of(AudioEncoding.opus, rate_hz=announced_hz), listener)
    ends, lost_samples = [], 0
    for number, packet in enumerate(packets):
        decoder.feed(packet)
        samples = 37 + 101 * number
        extent = decoder.extent_of_gap(samples)
        ends.append(len(listener.samples) + sum(extent))
        decoder.feed_silence(samples)
        lost_samples += samples
        assert ends[-1] == pytest.approx((number + 1) * 320 + lost_samples * 16_000 / announced_hz, abs=1)
    decoder.finish(listener.reached("finished"))
    assert len(listener.samples) == pytest.approx(ends[-1], abs=1)
