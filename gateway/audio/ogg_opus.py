"""Reads Ogg Opus as it comes: live streams, pages of any size, one stream after another, other streams beside it.

Packets come out as their segments come in, not page by page, so a page that spans a second costs no delay; only the
last page is read whole, because its position says how much of its end is no audio. Page checksums are left unread: the
transport's own are better. Source: RFC 3533, section 6; RFC 7845, sections 3 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.audio.byte_queue import InputEnded
from gateway.audio.faults import undecodable
from gateway.audio.opus_packet import MAX_PACKET_BYTES, OPUS_RATE_HZ, packet_samples, parse_opus_head
from gateway.audio.stream_events import Codec, Packet, StreamStart

if TYPE_CHECKING:
    from gateway.audio.byte_queue import ByteQueue, Reading
    from gateway.audio.stream_events import StreamReader

_CODEC_NAMES = {
    b"\x01vorbis": "Vorbis",
    b"Speex   ": "Speex",
    b"\x7fFLAC": "FLAC",
    b"\x80theora": "Theora",
    b"fishead\0": "Skeleton",
}


class Page(NamedTuple):
    """A page's header. `granule` is the stream's length at its end, at 48 kHz; None if no packet ends in it."""

    is_continued: bool
    is_first: bool
    is_last: bool
    granule: int | None
    serial: bytes
    segments: bytes


def read_ogg_opus(queue: ByteQueue) -> StreamReader:
    """One StreamStart and its packets for each Opus stream."""
    reader = _OggReader(queue)
    try:
        while True:
            page = yield from reader.next_page()
            yield from reader.read_body(page)
    except InputEnded:
        return


class _OggReader:
    def __init__(self, queue: ByteQueue) -> None:
        self._queue = queue
        self._serial: bytes | None = None
        self._has_found_opus = False
        self._others: list[str] = []
        self._is_tags_next = False
        self._partial = b""
        self._is_partial_lost = False
        self._granule: int | None = None

    def next_page(self) -> Reading[Page]:
        queue = self._queue
        while True:
            yield from queue.at_least(27)
            if queue.peek(5) == b"OggS\0":
                break
            if not self._has_found_opus and not self._others:
                raise undecodable("a stream of ogg_opus must begin with `OggS`")
            found = queue.find(b"OggS", 1)
            queue.drop(found if found > 0 else len(queue) - 3)
        header = queue.take(27)
        segments = yield from queue.exactly(header[26])
        granule = int.from_bytes(header[6:14], "little", signed=True)
        flags = header[5]
        return Page(
            is_continued=bool(flags & 1),
            is_first=bool(flags & 2),
            is_last=bool(flags & 4),
            granule=granule if granule >= 0 else None,
            serial=header[14:18],
            segments=segments,
        )

    def read_body(self, page: Page) -> Reading[None]:
        if page.is_first and self._serial is None:
            yield from self._read_first(page)
        elif page.serial != self._serial:
            if not self._has_found_opus:
                raise undecodable(f"ogg_opus must hold Opus, not {', '.join(self._others) or 'another codec'}")
            yield from self._queue.skip(sum(page.segments))
        elif page.is_last:
            yield from self._read_last(page)
        else:
            yield from self._read_packets(page)

    def _read_first(self, page: Page) -> Reading[None]:
        body = yield from self._queue.exactly(sum(page.segments))
        if not body.startswith(b"OpusHead"):
            names = (name for start, name in _CODEC_NAMES.items() if body.startswith(start))
            self._others.append(next(names, "an unknown codec"))
            if len(self._others) > 16:
                raise undecodable("ogg_opus must begin with its Opus stream, not with 16 others")
            return
        head = parse_opus_head(body)
        self._serial = page.serial
        self._has_found_opus = True
        self._is_tags_next = True
        self._partial, self._is_partial_lost, self._granule = b"", False, None
        yield StreamStart(
            Codec.opus,
            OPUS_RATE_HZ,
            head.channels,
            extradata=head.extradata,
            skip_samples=head.pre_skip_samples,
        )

    def _read_packets(self, page: Page) -> Reading[None]:
        """Packets that end in this page, each as soon as it is there."""
        self._check_continuity(page)
        sizes, open_bytes = packet_sizes(page.segments)
        for size in sizes:
            if self._is_tags_next:
                yield from self._queue.skip(size)
                self._is_tags_next = False
                continue
            packet = self._partial + (yield from self._queue.exactly(size))
            self._partial = b""
            if not self._is_partial_lost:
                yield Packet(packet)
            self._is_partial_lost = False
        yield from self._keep_open(open_bytes)
        if page.granule is not None:
            self._granule = page.granule

    def _keep_open(self, open_bytes: int) -> Reading[None]:
        if self._is_tags_next or self._is_partial_lost:
            yield from self._queue.skip(open_bytes)
            return
        if len(self._partial) + open_bytes > MAX_PACKET_BYTES:
            raise undecodable(f"an Opus packet has at most {MAX_PACKET_BYTES} bytes")
        self._partial += yield from self._queue.exactly(open_bytes)

    def _check_continuity(self, page: Page) -> None:
        if self._is_tags_next:
            return
        if not page.is_continued:
            self._partial, self._is_partial_lost = b"", False
        elif not self._partial:
            self._is_partial_lost = True

    def _read_last(self, page: Page) -> Reading[None]:
        """As `_read_packets`, with the end trimmed. Another stream may follow."""
        before = self._granule
        packets: list[bytes] = []
        try:
            for event in self._read_packets(page):
                if isinstance(event, Packet):
                    packets.append(event.data)
                else:
                    yield event
        except InputEnded:
            before = None
        discards = _discards(packets, None if before is None or page.granule is None else page.granule - before)
        for packet, discard in zip(packets, discards, strict=True):
            yield Packet(packet, discard)
        self._serial = None


def packet_sizes(segments: bytes) -> tuple[list[int], int]:
    """Sizes of the packets that end in a page, and what the page holds of one that does not."""
    sizes: list[int] = []
    size = 0
    for segment in segments:
        size += segment
        if segment < 255:
            sizes.append(size)
            size = 0
    return sizes, size


def _discards(packets: list[bytes], audio_samples: int | None) -> list[int]:
    """How much of the end of each packet is no audio, if all of them have `audio_samples`."""
    lengths = [packet_samples(packet) or 0 for packet in packets]
    excess = 0 if audio_samples is None or audio_samples < 0 else max(0, sum(lengths) - audio_samples)
    discards: list[int] = []
    for length in reversed(lengths):
        discards.append(min(length, excess))
        excess -= discards[-1]
    return discards[::-1]
