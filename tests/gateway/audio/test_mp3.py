"""MP3 as files and as live streams."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from gateway.audio.mp3 import parse_header, read_mp3
from gateway.audio.stream_events import Packet, StreamStart
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

RATES_HZ = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
ID3 = b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(257)


def frames_of(events: list[StreamStart | Packet]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Packet)]


@pytest.fixture(scope="module")
def file(studio):
    return studio.encode_file("mp3", "libmp3lame", studio.speech_like(16_000, duration_ms=600), 16_000, bit_rate=32_000)


@pytest.fixture(scope="module")
def frames(studio, file):
    return frames_of(studio.read_packets(read_mp3, [file]))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_tile_the_stream_at_every_rate(studio, rate_hz, channels):
    sound = studio.speech_like(rate_hz, duration_ms=300, channels=channels)
    file = studio.encode_file("mp3", "libmp3lame", sound, rate_hz, bit_rate=64_000, options={"id3v2_version": "0"})
    start, *packets = studio.read_packets(read_mp3, [file])
    assert (start.sample_rate_hz, start.channels) == (rate_hz, channels)
    assert b"".join(packet.data for packet in packets) == file


@pytest.mark.parametrize("piece_bytes", [1, 50, 10_000])
def test_tags_and_garbage_are_passed_over(studio, frames, piece_bytes):
    data = ID3 + b"\xff\xfb garbage \xff" + b"".join(frames[:5]) + ID3 + b"".join(frames[5:]) + b"TAG" + bytes(125)
    assert frames_of(studio.read_packets(read_mp3, studio.cut(data, piece_bytes))) == frames


def test_the_reader_finds_its_step_again_after_lost_bytes(studio, frames):
    data = b"".join(frames)
    hole = len(b"".join(frames[:6])) + 30
    found = frames_of(studio.read_packets(read_mp3, [data[:hole] + data[hole + 40 :]]))
    assert found[:6] == frames[:6]
    assert found[-(len(frames) - 8) :] == frames[8:]


def test_a_change_of_rate_begins_afresh(studio, frames):
    other = studio.encode(AudioEncoding.mp3, studio.speech_like(44_100, duration_ms=200), 44_100)
    events = studio.read_packets(read_mp3, [b"".join(frames) + other])
    assert [event.sample_rate_hz for event in events if isinstance(event, StreamStart)] == [16_000, 44_100]


def test_the_first_frame_needs_only_the_header_after_it(studio, frames):
    events = studio.read_packets(read_mp3, [frames[0] + frames[1][:4]])
    assert frames_of(events) == [frames[0]]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
async def test_a_file_that_says_its_encoders_delay_is_heard_without_it(studio, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=1_000)
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp3") as container:  # A file that can be sought in gets an information frame.
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="s16", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert b"Info" in sink.getvalue() or b"Xing" in sink.getvalue()
    listener = await studio.decode(studio.format_of(AudioEncoding.mp3), [sink.getvalue()])
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > 0.99
    assert abs(shift_ms) < 0.1


@pytest.mark.parametrize("rate_hz", RATES_HZ)
async def test_live_streams_are_the_sound_and_at_most_two_frames_longer(studio, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=1_000)
    listener = await studio.decode(
        studio.format_of(AudioEncoding.mp3), studio.cut(studio.encode(AudioEncoding.mp3, sound, rate_hz), 317)
    )
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > 0.98
    assert abs(shift_ms) < 0.1
    assert 0 <= len(listener.samples) - 16_000 <= 2 * 1_152 * 16_000 / rate_hz


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff\xfb\x90",
        b"\xff\xfa\xf0\x00",
        b"\xff\xfb\x00\x00",
        b"\xff\xfb\x9c\x00",
        b"\xff\xeb\x90\x00",
        b"\xff\xfd\x90\x00",
        b"\xfe\xfb\x90\x00",
    ],
)
def test_what_cannot_be_a_header_is_known(octets):
    assert parse_header(octets) is None


@pytest.mark.parametrize("data", [b"\0" * 100, b"fLaC" + bytes(500), b"\xff" * 300])
def test_a_stream_without_a_frame_is_refused(studio, data):
    with pytest.raises(ClientFault, match="there were none") as refused:
        studio.read_packets(read_mp3, [data])
    assert refused.value.reason is Reason.undecodable_audio


def test_a_stream_without_a_frame_is_refused_before_it_ends(studio):
    with pytest.raises(ClientFault, match="bytes in a row are not test"):
        studio.read_packets(read_mp3, [bytes(70_000)])


def test_a_stream_may_end_anywhere(studio, file):
    for length in range(0, len(file), 97):
        studio.read_packets(read_mp3, [file[:length]])
