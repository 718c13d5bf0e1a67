"""WAV as files and as live streams."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gateway.audio.samples import SampleType
from gateway.audio.stream_events import Codec, Packet, StreamStart
from gateway.audio.wav import read_wav
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

MONO_16K = StreamStart(Codec.samples, 16_000, 1, sample_type=SampleType.s16le)


def fmt(tag: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16, *, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + extra
    return b"fmt " + struct.pack("<I", len(body)) + body


def wav(*chunks: bytes, riff: bytes = b"RIFF") -> bytes:
    return riff + struct.pack("<I", sum(map(len, chunks)) + 4) + b"WAVE" + b"".join(chunks)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return (
        name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (size is None and len(body) % 2)
    )


def audio_of(events: list[StreamStart | Packet]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Packet))


@pytest.mark.parametrize("piece_bytes", [1, 7, 1_000])
def test_chunks_around_the_audio_are_passed_over(studio, piece_bytes):
    file = wav(
        chunk(b"LIST", b"odd"), chunk(b"JUNK", bytes(300)), fmt(), chunk(b"data", b"abcdef"), chunk(b"id3 ", bytes(99))
    )
    events = studio.read_packets(read_wav, studio.cut(file, piece_bytes))
    assert events[0] == MONO_16K
    assert audio_of(events) == b"abcdef"


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF])
def test_audio_of_an_unknown_size_goes_on_to_the_end(studio, size):
    events = studio.read_packets(read_wav, [wav(fmt(), chunk(b"data", b"abcd", size)), b"ef", b"ghi"])
    assert audio_of(events) == b"abcdefgh"


def test_audio_comes_out_as_it_comes_in(studio):
    file = wav(fmt(), chunk(b"data", b"", 0))
    events = studio.read_packets(read_wav, [file, b"ab", b"c", b"defg"])
    assert [event.data for event in events[1:]] == [b"ab", b"cdef"]


def test_one_file_may_follow_another(studio):
    first = wav(fmt(), chunk(b"data", b"abcde"))
    second = wav(fmt(7, 2, 8_000, 8), chunk(b"data", b"xy"))
    events = studio.read_packets(read_wav, studio.cut(first + second, 5))
    assert [event for event in events if isinstance(event, StreamStart)] == [
        MONO_16K,
        StreamStart(Codec.samples, 8_000, 2, sample_type=SampleType.mulaw),
    ]
    assert audio_of(events) == b"abcdxy"


def test_a_file_of_more_than_4_gib_says_its_size_elsewhere(studio):
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, 4, 0, 0))
    file = wav(ds64, fmt(), chunk(b"data", b"abcd", 0xFFFF_FFFF) + chunk(b"LIST", b"more"), riff=b"RF64")
    assert audio_of(studio.read_packets(read_wav, [file])) == b"abcd"


def test_an_extensible_format_names_its_own(studio):
    extra = struct.pack("<HHI", 22, 32, 4) + struct.pack("<H", 3) + bytes(14)
    (start,) = studio.read_packets(read_wav, [wav(fmt(0xFFFE, 1, 48_000, 32, extra=extra))])
    assert start.sample_type is SampleType.f32le


@pytest.mark.parametrize("length", range(46))
def test_a_stream_may_end_anywhere(studio, length):
    studio.read_packets(read_wav, [wav(fmt(), chunk(b"data", b"abcdef"))[:length]])


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"OggS" + bytes(20), "must begin with `RIFF`"),
        (b"RIFX" + bytes(4) + b"WAVE", "must begin with `RIFF`"),
        (wav(fmt(2, bits=4)), "not format 2 of 4 bits"),
        (wav(fmt(1, channels=0)), "0 channels"),
        (wav(chunk(b"data", b"ab"), fmt()), "must come before"),
        (wav(b"fmt " + struct.pack("<I", 15) + bytes(15)), "16 to 4096 bytes, not 15"),
        (wav(chunk(b"LIST", b"", 0xFFFF_FFF0)), "bytes of anything else"),
        (wav(fmt(), chunk(b"data", b"ab")) + b"RIFF" + bytes(4) + b"AVI ", "must be a `WAVE`"),
    ],
)
def test_what_is_no_wav_is_refused_with_what_was_expected(studio, file, sentence):
    with pytest.raises(ClientFault, match=sentence) as refused:
        studio.read_packets(read_wav, [file])
    assert refused.value.reason is Reason.undecodable_audio


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize(
    ("codec", "sample_format"),
    [("pcm_s16le", "s16"), ("pcm_mulaw", "s16"), ("pcm_alaw", "s16"), ("pcm_s24le", "s32"), ("pcm_f32le", "flt")],
)
async def test_real_files_of_every_kind_are_the_sound(studio, codec, sample_format, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=500)
    file = studio.encode_file("wav", codec, sound, rate_hz, sample_format=sample_format)
    listener = await studio.decode(studio.format_of(AudioEncoding.wav), studio.cut(file, 641))
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > 0.999
    assert abs(shift_ms) < 0.1
    assert abs(len(listener.samples) - 8_000) <= 1


async def test_wavs_samples_are_left_as_they_are_at_16_khz(studio):
    sound = studio.speech_like(16_000, duration_ms=100)
    file = studio.encode_file("wav", "pcm_s16le", sound, 16_000)
    listener = await studio.decode(studio.format_of(AudioEncoding.wav), [file])
    assert np.array_equal(listener.samples, sound[:, 0])
