"""Native FLAC as files and as live streams."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from gateway.audio.byte_queue import STARVING, ByteQueue
from gateway.audio.flac import FrameHeader, parse_header, read_flac
from gateway.audio.settings import AudioSettings
from gateway.audio.stream_events import Guess, Packet, StreamStart
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit


def flac_bytes(studio, *, rate_hz=16_000, duration_ms=800, channels=1, block_samples=1_024) -> bytes:
    return studio.encode_file(
        "flac",
        "flac",
        studio.speech_like(rate_hz, duration_ms=duration_ms, channels=channels),
        rate_hz,
        codec_options={"frame_size": str(block_samples)},
    )


def libav_frames(file: bytes) -> list[bytes]:
    with av.open(io.BytesIO(file)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def frames_of(events: list[StreamStart | Packet]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Packet)]


def start_of(file: bytes) -> bytes:
    """All before the first frame."""
    return file[: file.index(libav_frames(file)[0])]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("piece_bytes", [1, 333, 1 << 20])
def test_frames_are_those_that_libav_finds(studio, rate_hz, channels, piece_bytes):
    file = flac_bytes(studio, rate_hz=rate_hz, duration_ms=250, channels=channels)
    start, *packets = studio.read_packets(read_flac, studio.cut(file, piece_bytes))
    assert (start.sample_rate_hz, start.channels) == (rate_hz, channels)
    assert [packet.data for packet in packets] == libav_frames(file)


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        # RFC 9639, appendix D.1.4 and D.2.6: frames of its example files.
        ("fff869180000bf0358", FrameHeader(True, 0, 1, 8)),
        ("fff86998000fb8", None),
        ("fff868180000", None),
    ],
)
def test_headers_of_the_standards_examples(octets, header):
    parsed = parse_header(bytes.fromhex(octets))
    assert parsed == header or (header is not None and parsed is not None and parsed.number == header.number)


def test_numbers_of_any_length_are_read(studio):
    header = bytearray(libav_frames(flac_bytes(studio))[0][:16])
    from gateway.audio.flac import _CRC8

    for coded, number in ((b"\x7f", 127), (b"\xc4\x80", 256), (b"\xe1\x80\x80", 4_096), (b"\xf0\x90\x80\x80", 65_536)):
        octets = bytes(header[:4]) + coded + (b"\x03\xff" if header[2] >> 4 == 7 else b"")
        crc = 0
        for octet in octets:
            crc = _CRC8[crc ^ octet]
        parsed = parse_header(octets + bytes([crc]))
        assert parsed is not None
        assert parsed.number == number


def test_a_frame_is_guessed_whole_where_the_bytes_end(studio):
    file = flac_bytes(studio)
    frames = libav_frames(file)
    queue = ByteQueue("flac", AudioSettings())
    reader = read_flac(queue)
    queue.append(start_of(file) + frames[0])
    assert isinstance(next(reader), StreamStart)
    assert next(reader) == Guess(frames[0], may_wait=True)
    assert reader.send(True) is STARVING
    assert len(queue) == 0
    queue.append(frames[1][:-1])
    assert next(reader) == Guess(frames[1][:-1], may_wait=True)
    assert reader.send(False) is STARVING


async def test_a_frame_is_heard_as_soon_as_it_is_there(studio):
    file = flac_bytes(studio, block_samples=4_096)
    listener = studio.Listener()
    decoder = studio.open(studio.format_of(AudioEncoding.flac), listener)
    decoder.feed(start_of(file))
    for number, frame in enumerate(libav_frames(file)[:-1], 1):
        for piece in studio.cut(frame, 300):
            decoder.feed(piece)
        decoder.mark(listener.reached(f"frame {number}"))
        await listener.until(lambda name=f"frame {number}": name in listener.heard)
        assert len(listener.samples) == 4_096 * number
    decoder.close()


def test_pictures_and_tags_are_passed_over(studio):
    file = flac_bytes(studio)
    start = start_of(file)
    streaminfo = bytes([start[4] & 0x7F]) + start[5:42]
    picture = b"\x06" + (100_000).to_bytes(3, "big") + b"\xff\xf8" * 50_000
    padding = b"\x81\x00\x00\x00"
    data = b"fLaC" + streaminfo + picture + padding + file[len(start) :]
    assert frames_of(studio.read_packets(read_flac, studio.cut(data, 999))) == libav_frames(file)


def test_one_stream_may_follow_another(studio):
    first, second = flac_bytes(studio), flac_bytes(studio, rate_hz=44_100, channels=2, duration_ms=300)
    for piece_bytes in (13, 1 << 20):
        events = studio.read_packets(read_flac, studio.cut(first + second, piece_bytes))
        assert [event.sample_rate_hz for event in events if isinstance(event, StreamStart)] == [16_000, 44_100]
        assert frames_of(events) == libav_frames(first) + libav_frames(second)


def test_a_lost_frame_costs_no_other(studio):
    file = flac_bytes(studio)
    frames = libav_frames(file)
    data = start_of(file) + b"".join(frames[:3]) + b"".join(frames[5:])
    assert frames_of(studio.read_packets(read_flac, [data])) == frames[:3] + frames[5:]


async def test_a_damaged_frame_costs_no_other(studio):
    file = flac_bytes(studio)
    frames = libav_frames(file)
    damaged = bytearray(frames[4])
    damaged[len(damaged) // 2] ^= 0x55
    data = start_of(file) + b"".join(frames[:4]) + bytes(damaged) + b"".join(frames[5:])
    whole = await studio.decode(studio.format_of(AudioEncoding.flac), [file])
    listener = await studio.decode(studio.format_of(AudioEncoding.flac), [data])
    assert not listener.errors
    assert np.array_equal(listener.samples, np.delete(whole.samples, np.s_[4 * 1_024 : 5 * 1_024]))


async def test_a_packet_never_holds_a_second_frame(studio):
    """Else a few bytes could decode to gigabytes at once: frames that fit nowhere follow each other here."""
    file = flac_bytes(studio)
    start, frames = start_of(file), libav_frames(file)
    shuffled = [frames[index] for index in (0, 5, 3, 9, 1, 7, 2)]
    queue = ByteQueue("flac", AudioSettings())
    queue.append(start + b"".join(shuffled))
    queue.end()
    reader = read_flac(queue)
    found, reply, event = [], None, next(reader)
    while True:
        if isinstance(event, Packet | Guess):
            assert sum(event.data.count(frame) for frame in frames) == 1
            if isinstance(event, Packet):
                found.append(event.data)
            elif event.data in frames:
                found.append(event.data)
                reply = True
        try:
            event = reader.send(reply)
        except StopIteration:
            break
        reply = None
    assert found == shuffled


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"OggS" + bytes(40), "must begin with `fLaC`"),
        (b"fLaC\x04\x00\x00\x22" + bytes(34), "STREAMINFO"),
        (b"fLaC\x00\x00\x00\x21" + bytes(33), "STREAMINFO"),
        (b"fLaC\x80\x00\x00\x22" + bytes(70_000), "bytes in a row are not"),
        (b"fLaC\x00\x00\x00\x22" + bytes(34) + b"\x06\xff\xff\xff", "bytes of anything else"),
    ],
)
def test_what_is_no_flac_is_refused_with_what_was_expected(studio, data, sentence):
    with pytest.raises(ClientFault, match=sentence) as refused:
        studio.read_packets(read_flac, [data])
    assert refused.value.reason is Reason.undecodable_audio


def test_a_frame_without_end_is_refused(studio):
    file = flac_bytes(studio)
    with pytest.raises(ClientFault, match="at most 262144 bytes"):
        studio.read_packets(read_flac, [start_of(file) + libav_frames(file)[0][:40], *[b"\xff\xf8" * 1_000] * 200])


def test_a_stream_may_end_anywhere(studio):
    file = flac_bytes(studio, duration_ms=200)
    for length in range(0, len(file), 97):
        studio.read_packets(read_flac, [file[:length]])


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
async def test_real_files_are_the_sound(studio, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=700)
    listener = await studio.decode(
        studio.format_of(AudioEncoding.flac), studio.cut(studio.encode(AudioEncoding.flac, sound, rate_hz), 501)
    )
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > 0.99999
    assert abs(shift_ms) < 0.1
    assert abs(len(listener.samples) - 11_200) <= 1


async def test_24_bits_are_read_to_the_scale_of_16(studio):
    sound = studio.speech_like(16_000, duration_ms=200)
    file = studio.encode_file("flac", "flac", sound, 16_000, sample_format="s32")
    listener = await studio.decode(studio.format_of(AudioEncoding.flac), [file])
    assert np.array_equal(listener.samples, sound[:, 0])
