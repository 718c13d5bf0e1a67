"""How much sound a datagram holds, of every encoding that can come so; the others are refused with words."""

from __future__ import annotations

import pytest

from gateway.audio.opus_packet import OPUS_RATE_HZ
from gateway.webtransport.datagram_audio import datagram_measure
from gateway.wire.messages import AudioSpec
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

SILK_20_MS = bytes([1 << 3])
CELT_5_MS = bytes([17 << 3])


def samples_of(audio: AudioSpec, data: bytes) -> int:
    measure = datagram_measure(audio)
    assert not isinstance(measure, str), measure
    return measure(data)


@pytest.mark.parametrize(
    ("encoding", "bytes_per_sample"), [("pcm_s16le", 2), ("pcm_f32le", 4), ("mulaw", 1), ("alaw", 1)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_raw_audio_is_counted_in_samples_of_one_channel(encoding: str, bytes_per_sample: int, channels: int) -> None:
    audio = AudioSpec(encoding, 8_000, channels)
    assert samples_of(audio, bytes(10 * bytes_per_sample * channels)) == 10
    assert samples_of(audio, bytes(10 * bytes_per_sample * channels + bytes_per_sample * channels - 1)) == 10


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_opus_is_counted_at_the_announced_rate(rate_hz: int) -> None:
    assert samples_of(AudioSpec("opus", rate_hz), SILK_20_MS) == rate_hz // 50
    assert samples_of(AudioSpec("opus", rate_hz), CELT_5_MS) == rate_hz // 200


def test_what_is_no_opus_packet_holds_nothing() -> None:
    for data in (b"", b"\x03", b"\x03\x00"):
        assert samples_of(AudioSpec("opus", OPUS_RATE_HZ), data) == 0


@pytest.mark.parametrize("encoding", [*(one.value for one in AudioEncoding if one.is_self_describing), "vorbis", ""])
def test_what_cannot_lose_a_piece_is_refused(encoding: str) -> None:
    measure = datagram_measure(AudioSpec(encoding))
    assert isinstance(measure, str)
    assert "raw or `opus`" in measure


@pytest.mark.parametrize(
    "audio",
    [
        AudioSpec("pcm_s16le", 0),
        AudioSpec("pcm_s16le", -16_000),
        AudioSpec("pcm_s16le", 16_000, 0),
        AudioSpec("pcm_s16le", 16_000, 2**40),
        AudioSpec("opus", 44_100),
    ],
)
def test_numbers_that_cannot_be_counted_with_are_refused(audio: AudioSpec) -> None:
    assert isinstance(datagram_measure(audio), str)
