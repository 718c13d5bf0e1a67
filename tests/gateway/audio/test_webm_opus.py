"""Opus in WebM, as files and as MediaRecorder makes it."""

from __future__ import annotations

import pytest

from gateway.audio.byte_queue import STARVING, ByteQueue
from gateway.audio.settings import AudioSettings
from gateway.audio.stream_events import Codec, Packet, StreamStart
from gateway.audio.webm_opus import read_webm_opus, unlace
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"
SEGMENT, CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"


def element(element_id: int, content: bytes) -> bytes:
    name = element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


EBML = element(0x1A45DFA3, element(0x4282, b"webm"))


def track(number: int = 1, *, kind: int = 2, codec: bytes = b"A_OPUS", head: bytes = HEAD, more: bytes = b"") -> bytes:
    fields = element(0xD7, bytes([number])) + element(0x83, bytes([kind])) + element(0x86, codec)
    return element(0xAE, fields + (element(0x63A2, head) if head else b"") + more)


def tracks(*entries: bytes) -> bytes:
    return element(0x1654AE6B, b"".join(entries or [track()]))


def simple(data: bytes, *, number: int = 1, lacing: int = 0) -> bytes:
    return element(0xA3, bytes([0x80 | number, 0, 0, 0x80 | lacing << 1]) + data)


def group(data: bytes, *, discard_ns: int = 0) -> bytes:
    block = element(0xA1, b"\x81\0\0\0" + data)
    return element(0xA0, block + (element(0x75A2, discard_ns.to_bytes(8, "big")) if discard_ns else b""))


def live(*blocks: bytes, description: bytes | None = None) -> bytes:
    """As MediaRecorder begins: sizes unknown."""
    return EBML + SEGMENT + UNKNOWN + (description or tracks()) + CLUSTER + UNKNOWN + b"".join(blocks)


def packets_of(events: list[StreamStart | Packet]) -> list[Packet]:
    return [event for event in events if isinstance(event, Packet)]


@pytest.mark.parametrize("piece_bytes", [1, 10, 1_000])
def test_blocks_come_out_whether_sizes_are_known_or_not(studio, piece_bytes):
    cluster = element(0x1F43B675, element(0xE7, b"\x01") + simple(b"two"))
    info, void = element(0x1549A966, bytes(30)), element(0xEC, bytes(500))
    data = (
        EBML
        + SEGMENT
        + UNKNOWN
        + info
        + void
        + tracks()
        + CLUSTER
        + UNKNOWN
        + simple(b"one")
        + cluster
        + group(b"three")
    )
    start, *found = studio.read_packets(read_webm_opus, studio.cut(data, piece_bytes))
    assert start == StreamStart(
        Codec.opus, 48_000, 1, extradata=HEAD.replace(b"\x38\x01\x80", b"\0\0\x80"), skip_samples=312
    )
    assert found == [Packet(b"one"), Packet(b"two"), Packet(b"three")]


def test_a_block_comes_out_as_soon_as_it_is_there():
    queue = ByteQueue("webm_opus", AudioSettings())
    queue.append(live(simple(b"one")))
    reader = read_webm_opus(queue)
    assert [type(next(reader)), next(reader), next(reader)] == [StreamStart, Packet(b"one"), STARVING]


def test_only_the_first_audio_track_is_heard(studio):
    description = tracks(track(1, kind=1, codec=b"V_VP8", head=b""), track(2), track(3))
    data = live(simple(b"v", number=1), simple(b"a", number=2), simple(b"b", number=3), description=description)
    assert packets_of(studio.read_packets(read_webm_opus, [data])) == [Packet(b"a")]


def test_a_block_says_how_much_of_its_end_is_no_audio(studio):
    data = live(group(b"one"), group(b"two", discard_ns=13_500_000))
    assert packets_of(studio.read_packets(read_webm_opus, [data])) == [Packet(b"one"), Packet(b"two", 648)]


def test_one_recording_may_follow_another(studio):
    events = studio.read_packets(read_webm_opus, [live(simple(b"one")) + live(simple(b"two"))])
    assert [type(event) for event in events] == [StreamStart, Packet, StreamStart, Packet]


@pytest.mark.parametrize(
    ("lacing", "laced"),
    [
        (0, b"\x00ab"),
        (1, b"\x02\xff\x01\x02" + b"a" * 256 + b"bb" + b"ccc"),
        (2, b"\x02" + b"aabbcc"),
        (3, b"\x03" + b"\x82" + b"\xc0" + b"\xbd" + b"aa" + b"bbb" + b"c" + b"dddd"),
    ],
)
def test_laced_blocks_are_taken_apart(lacing, laced):
    wanted = {
        0: [b"\x00ab"],
        1: [b"a" * 256, b"bb", b"ccc"],
        2: [b"aa", b"bb", b"cc"],
        3: [b"aa", b"bbb", b"c", b"dddd"],
    }
    assert unlace(b"\0\0" + bytes([lacing << 1]) + laced) == wanted[lacing]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"RIFF" + bytes(60), "must begin with an EBML header"),
        (b"\x00" * 60, "must be made of EBML elements"),
        (element(0x1A45DFA3, element(0x4282, b"avi")), "document type"),
        (live(description=tracks(track(codec=b"A_VORBIS"))), "must be A_OPUS, not A_VORBIS"),
        (live(description=tracks(track(kind=1))), "must have an audio track"),
        (live(description=tracks(track(head=b""))), "OpusHead"),
        (live(description=tracks(track(more=element(0x6D80, b"")))), "compressed or encrypted"),
        (EBML + SEGMENT + UNKNOWN + simple(b"one"), "describe its tracks before"),
        (live(b"\xa3" + UNKNOWN), "only a Segment or a Cluster"),
        (live(b"\xa3\x10\x10\x00\x00"), "at most 262144 bytes, not 1048576"),
        (live(b"\xec\x80" * 3_000), "at most 2000 elements"),
        (live(b"\xec\x08\xff\xff\xff\xff"), "bytes of anything else"),
        (live(simple(b"\x05\x09", lacing=1)), "longer than the block"),
        (live(element(0xA3, b"\x40")), "cut off"),
        (live(element(0xA0, b"\xa1\x85ab")), "longer than the one it lies in"),
    ],
)
def test_what_is_no_webm_opus_is_refused_with_what_was_expected(studio, data, sentence):
    with pytest.raises(ClientFault, match=sentence) as refused:
        studio.read_packets(read_webm_opus, [data])
    assert refused.value.reason is Reason.undecodable_audio


def test_a_stream_may_end_anywhere(studio):
    data = live(simple(b"one"), group(b"two"))
    for length in range(len(data)):
        studio.read_packets(read_webm_opus, [data[:length]])


@pytest.mark.parametrize("packet_ms", ["20", "60"])
@pytest.mark.parametrize("options", [{}, {"live": "1"}, {"live": "1", "cluster_time_limit": "100"}], ids=str)
async def test_real_recordings_are_the_sound_to_the_sample(studio, options, packet_ms):
    sound = studio.speech_like(48_000, duration_ms=1_000)
    file = studio.encode_file(
        "webm", "libopus", sound, 48_000, bit_rate=48_000, options=options, codec_options={"frame_duration": packet_ms}
    )
    listener = await studio.decode(studio.format_of(AudioEncoding.webm_opus), studio.cut(file, 345))
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], 48_000)
    assert likeness > 0.97
    assert abs(shift_ms) < 0.3
    assert abs(len(listener.samples) - 16_000) <= 1


async def test_vorbis_inside_is_refused(studio):
    file = studio.encode_file(
        "webm",
        "vorbis",
        studio.speech_like(48_000, channels=2),
        48_000,
        sample_format="fltp",
        codec_options={"strict": "experimental"},
    )
    listener = await studio.decode(studio.format_of(AudioEncoding.webm_opus), [file])
    assert [error.detail for error in listener.errors] == [
        "the first audio track of webm_opus must be A_OPUS, not A_VORBIS"
    ]
