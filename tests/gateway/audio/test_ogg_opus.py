"""Ogg Opus as files and as live streams."""

from __future__ import annotations

import struct

import pytest

from gateway.audio.byte_queue import STARVING, ByteQueue
from gateway.audio.ogg_opus import packet_sizes, read_ogg_opus
from gateway.audio.settings import AudioSettings
from gateway.audio.stream_events import Codec, Packet, StreamStart
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
FIRST, CONTINUED, LAST = 2, 1, 4


def segments_of(packets: list[bytes], *, is_open: bool = False) -> bytes:
    """Lacing values; the last packet is not ended if `is_open`."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    return lacing[:-1] if is_open else lacing


def page(*packets: bytes, flags: int = 0, granule: int = 0, serial: bytes = b"abcd", is_open: bool = False) -> bytes:
    lacing = segments_of(list(packets), is_open=is_open)
    header = b"OggS\0" + bytes([flags]) + struct.pack("<q", granule) + serial + bytes(8) + bytes([len(lacing)])
    return header + lacing + b"".join(packets)


def stream(*pages: bytes, head: bytes = HEAD, tags: bytes = b"OpusTags") -> bytes:
    return page(head, flags=FIRST) + page(tags) + b"".join(pages)


def packet(number: int, *, num_bytes: int = 4) -> bytes:
    """Of 20 ms (a wideband SILK packet)."""
    return b"\x48" + bytes([number]) * (num_bytes - 1)


def packets_of(events: list[StreamStart | Packet]) -> list[Packet]:
    return [event for event in events if isinstance(event, Packet)]


@pytest.mark.parametrize("piece_bytes", [1, 10, 1_000])
def test_packets_come_out_whatever_the_pages(studio, piece_bytes):
    long = packet(3, num_bytes=700)
    data = stream(
        page(packet(1), packet(2), long[:510], is_open=True, granule=1_920),
        page(long[510:], packet(4), flags=CONTINUED, granule=3_840),
    )
    start, *found = studio.read_packets(read_ogg_opus, studio.cut(data, piece_bytes))
    assert start == StreamStart(
        Codec.opus, 48_000, 1, extradata=HEAD.replace(b"\x38\x01\x80", b"\0\0\x80"), skip_samples=312
    )
    assert [each.data for each in found] == [packet(1), packet(2), long, packet(4)]


def test_packets_come_out_before_their_page_is_whole():
    queue = ByteQueue("ogg_opus", AudioSettings())
    whole = stream(page(packet(1), packet(2), granule=1_920))
    queue.append(whole[:-4])
    reader = read_ogg_opus(queue)
    assert [type(next(reader)), next(reader), next(reader)] == [StreamStart, Packet(packet(1)), STARVING]


def test_the_last_page_says_how_much_of_its_end_is_no_audio(studio):
    data = stream(page(packet(1), granule=960), page(packet(2), packet(3), flags=LAST, granule=960 + 700))
    assert packets_of(studio.read_packets(read_ogg_opus, [data])) == [
        Packet(packet(1), 0),
        Packet(packet(2), 260),
        Packet(packet(3), 960),
    ]


def test_tags_of_any_size_are_passed_over(studio):
    tags = b"OpusTags" + bytes(200_000)
    pages = [
        page(tags[at : at + 65_025], flags=CONTINUED if at else 0, is_open=True) for at in range(0, 195_075, 65_025)
    ]
    data = page(HEAD, flags=FIRST) + b"".join(pages) + page(tags[195_075:], flags=CONTINUED) + page(packet(1))
    assert packets_of(studio.read_packets(read_ogg_opus, studio.cut(data, 5_000))) == [Packet(packet(1))]


def test_one_stream_may_follow_another_and_others_lie_beside_it(studio):
    skeleton = page(b"fishead\0" + bytes(50), flags=FIRST, serial=b"skel")
    first = stream(page(b"noise", serial=b"skel"), page(packet(1), flags=LAST, granule=-1))
    second = stream(page(packet(2)), head=HEAD.replace(b"\x38\x01", b"\x00\x00"))
    between = page(b"", serial=b"skel")
    events = studio.read_packets(read_ogg_opus, [skeleton + first + between + second])
    assert [event.skip_samples for event in events if isinstance(event, StreamStart)] == [312, 0]
    assert [each.data for each in packets_of(events)] == [packet(1), packet(2)]


def test_a_lost_page_costs_only_its_packets(studio):
    long = packet(3, num_bytes=700)
    pages = [
        page(packet(1), granule=960),
        page(packet(2), long[:510], is_open=True, granule=1_920),
        page(long[510:], packet(4), flags=CONTINUED, granule=3_840),
    ]
    without = stream(pages[0], pages[2])
    assert [each.data for each in packets_of(studio.read_packets(read_ogg_opus, [without]))] == [packet(1), packet(4)]
    with_noise = stream(pages[0], b"noise" * 20, *pages[1:])
    assert [each.data for each in packets_of(studio.read_packets(read_ogg_opus, [with_noise]))] == [
        packet(1),
        packet(2),
        long,
        packet(4),
    ]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"RIFF" + bytes(40), "must begin with `OggS`"),
        (page(b"\x01vorbis" + bytes(23), flags=FIRST) + page(b"x"), "must hold Opus, not Vorbis"),
        (page(b"something", flags=FIRST) + page(b"x"), "must hold Opus, not an unknown codec"),
        (page(HEAD[:12], flags=FIRST), "OpusHead"),
        (stream(bytes(70_000)), "bytes in a row are not"),
        (stream(*[page(bytes(65_025), flags=flags, is_open=True) for flags in (0, CONTINUED)]), "at most 65536 bytes"),
    ],
)
def test_what_is_no_ogg_opus_is_refused_with_what_was_expected(studio, data, sentence):
    with pytest.raises(ClientFault, match=sentence) as refused:
        studio.read_packets(read_ogg_opus, [data])
    assert refused.value.reason is Reason.undecodable_audio


def test_sizes_are_read_from_lacing_values():
    assert packet_sizes(b"") == ([], 0)
    assert packet_sizes(b"\x05\xff\x00\x00\xff\xff") == ([5, 255, 0], 510)


@pytest.mark.parametrize("page_us", ["20000", "100000", "1000000"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
async def test_real_files_are_the_sound_to_the_sample(studio, rate_hz, page_us):
    sound = studio.speech_like(rate_hz, duration_ms=1_010)
    file = studio.encode_file("ogg", "libopus", sound, rate_hz, bit_rate=48_000, options={"page_duration": page_us})
    listener = await studio.decode(studio.format_of(AudioEncoding.ogg_opus), studio.cut(file, 211))
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > 0.97
    assert abs(shift_ms) < 0.3
    assert abs(len(listener.samples) - 16_160) <= 1


async def test_vorbis_inside_is_refused(studio):
    file = studio.encode_file(
        "ogg",
        "vorbis",
        studio.speech_like(48_000, channels=2),
        48_000,
        sample_format="fltp",
        codec_options={"strict": "experimental"},
    )
    listener = await studio.decode(studio.format_of(AudioEncoding.ogg_opus), [file])
    assert [error.detail for error in listener.errors] == ["ogg_opus must hold Opus, not Vorbis"]
