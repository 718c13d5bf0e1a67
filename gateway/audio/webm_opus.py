"""Reads Opus in WebM or Matroska as it comes, as a browser's MediaRecorder makes it: sizes unknown, no index.

Segment and Cluster are not followed as a tree: what lies in them is read as if it lay side by side, so that it does not
matter whether their sizes are known or true. Gaps between block times are not filled. Source: RFC 9559.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.byte_queue import InputEnded
from gateway.audio.ebml import children, next_element, parse_vint, signed, unsigned
from gateway.audio.faults import undecodable
from gateway.audio.opus_packet import MAX_PACKET_BYTES, OPUS_RATE_HZ, parse_opus_head
from gateway.audio.stream_events import Codec, Packet, StreamStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.audio.byte_queue import ByteQueue, Reading
    from gateway.audio.stream_events import StreamReader

_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _CLUSTER, _TRACKS = 0x18538067, 0x1F43B675, 0x1654AE6B
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _DISCARD_PADDING = 0xA3, 0xA0, 0xA1, 0x75A2
_TRACK_ENTRY, _TRACK_NUMBER, _TRACK_TYPE, _CODEC_ID = 0xAE, 0xD7, 0x83, 0x86
_CODEC_PRIVATE, _CONTENT_ENCODINGS = 0x63A2, 0x6D80
_AUDIO_TRACK = 2
_MAX_TRACKS_BYTES = 64 * 1024
_MAX_BLOCK_BYTES = 4 * MAX_PACKET_BYTES
_MAX_ELEMENTS_BETWEEN_BLOCKS = 2_000
"""Bounds the time that empty elements can take; a real file has some ten."""


def read_webm_opus(queue: ByteQueue) -> StreamReader:
    """StreamStart for each description of tracks, and the packets of its first audio track."""
    try:
        first = yield from next_element(queue)
        if first.id != _EBML or first.size is None or first.size > _MAX_TRACKS_BYTES:
            raise undecodable("a stream of webm_opus must begin with an EBML header")
        _check_doc_type((yield from queue.exactly(first.size)))
        yield from _read_elements(queue)
    except InputEnded:
        return


def _check_doc_type(header: bytes) -> None:
    doc_type = next((content for element_id, content in children(header) if element_id == _DOC_TYPE), b"")
    if doc_type.rstrip(b"\0") not in (b"webm", b"matroska"):
        raise undecodable("the document type of a webm_opus stream must be `webm` or `matroska`")


def _read_elements(queue: ByteQueue) -> Reading[None]:
    track: int | None = None
    elements = 0
    while True:
        element = yield from next_element(queue)
        elements += 1
        if elements > _MAX_ELEMENTS_BETWEEN_BLOCKS:
            raise undecodable(
                f"WebM may have at most {_MAX_ELEMENTS_BETWEEN_BLOCKS} elements between two blocks of audio"
            )
        if element.id in (_SEGMENT, _CLUSTER):
            continue
        if element.size is None:
            raise undecodable("only a Segment or a Cluster of WebM may have an unknown size")
        if element.id == _TRACKS:
            track, start = _parse_tracks(
                (yield from _whole(queue, element.size, _MAX_TRACKS_BYTES, "track description"))
            )
            yield start
        elif element.id in (_SIMPLE_BLOCK, _BLOCK_GROUP):
            if track is None:
                raise undecodable("a WebM must describe its tracks before its first block")
            content = yield from _whole(queue, element.size, _MAX_BLOCK_BYTES, "block")
            for packet in _packets(element.id, content, track):
                elements = 0
                yield packet
        elif element.id == _EBML:
            # Another file follows: its header says nothing new.
            _check_doc_type((yield from _whole(queue, element.size, _MAX_TRACKS_BYTES, "EBML header")))
        else:
            yield from queue.skip(element.size)


def _whole(queue: ByteQueue, size: int, most: int, name: str) -> Reading[bytes]:
    if size > most:
        raise undecodable(f"a WebM {name} may have at most {most} bytes, not {size}")
    return (yield from queue.exactly(size))


def _parse_tracks(content: bytes) -> tuple[int, StreamStart]:
    """The number of the first audio track, which must be Opus, and how it is coded."""
    for element_id, entry in children(content):
        if element_id != _TRACK_ENTRY:
            continue
        fields = dict(children(entry, 1))
        if unsigned(fields.get(_TRACK_TYPE, b"")) != _AUDIO_TRACK:
            continue
        codec = fields.get(_CODEC_ID, b"").rstrip(b"\0").decode("ascii", "replace")[:32]
        if codec != "A_OPUS":
            raise undecodable(f"the first audio track of webm_opus must be A_OPUS, not {codec or 'unnamed'}")
        if _CONTENT_ENCODINGS in fields:
            raise undecodable("the audio track of a WebM may not be compressed or encrypted by the container")
        head = parse_opus_head(fields.get(_CODEC_PRIVATE, b""))
        return unsigned(fields.get(_TRACK_NUMBER, b"")), StreamStart(
            Codec.opus,
            OPUS_RATE_HZ,
            head.channels,
            extradata=head.extradata,
            skip_samples=head.pre_skip_samples,
        )
    raise undecodable("a stream of webm_opus must have an audio track")


def _packets(element_id: int, content: bytes, track: int) -> Iterator[Packet]:
    discard_samples = 0
    if element_id == _BLOCK_GROUP:
        fields = dict(children(content))
        content = fields.get(_BLOCK, b"")
        discard_ns = signed(fields.get(_DISCARD_PADDING, b""))
        discard_samples = max(0, discard_ns) * OPUS_RATE_HZ // 1_000_000_000
    number, at = parse_vint(content, 0)
    if number != track:
        return
    laced = unlace(content[at:])
    for index, packet in enumerate(laced):
        yield Packet(packet, discard_samples if index == len(laced) - 1 else 0)


def unlace(block: bytes) -> list[bytes]:
    """The frames of a block, from its time code on. Source: RFC 9559, section 10.3. Raises ClientFault."""
    lacing = block[2] >> 1 & 3 if len(block) >= 3 else 0
    if not lacing:
        return [block[3:]]
    if len(block) < 4:
        raise undecodable("a WebM block is cut off")
    count = block[3] + 1
    sizes, at = _FRAME_SIZES[lacing](block, count)
    if at + sum(sizes) > len(block) or any(size < 0 for size in sizes):
        raise undecodable("the frames of a WebM block are longer than the block")
    frames = []
    for size in sizes:
        frames.append(block[at : at + size])
        at += size
    frames.append(block[at:])
    return frames


def _xiph_sizes(block: bytes, count: int) -> tuple[list[int], int]:
    sizes, at = [], 4
    for _ in range(count - 1):
        size = 0
        while at < len(block) and block[at] == 255:
            size += 255
            at += 1
        size += block[at] if at < len(block) else 0
        at += 1
        sizes.append(size)
    return sizes, at


def _fixed_sizes(block: bytes, count: int) -> tuple[list[int], int]:
    return [(len(block) - 4) // count] * (count - 1), 4


def _ebml_sizes(block: bytes, count: int) -> tuple[list[int], int]:
    sizes: list[int] = []
    at = 4
    for _ in range(count - 1):
        start = at
        value, at = parse_vint(block, at)
        if sizes:
            # A signed difference: the range of its length is centred on zero.
            value += sizes[-1] - ((1 << 7 * (at - start) - 1) - 1)
        sizes.append(value)
    return sizes, at


_FRAME_SIZES = {1: _xiph_sizes, 2: _fixed_sizes, 3: _ebml_sizes}
