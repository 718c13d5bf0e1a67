"""Reads MP3 as it comes: frames of MPEG-1, 2 and 2.5 audio layer III, tags before, between and after them.

A header proves itself by the header that follows its frame; once in step, each header proves the next.
Source: ISO/IEC 11172-3 and 13818-3, 2.4.1 and 2.4.2.3; ID3v2.4 3.1; the LAME tag's revision 1 for the encoder's delay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.audio.byte_queue import STARVING, InputEnded
from gateway.audio.faults import undecodable
from gateway.audio.stream_events import Codec, Packet, StreamStart

if TYPE_CHECKING:
    from gateway.audio.byte_queue import ByteQueue, Reading
    from gateway.audio.stream_events import StreamReader

_KBITS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_DECODER_DELAY_SAMPLES = 529
"""What any layer III decoder adds to the encoder's delay. Source: LAME's technical FAQ, 528 + 1."""
_UNSTATED_DELAY_SAMPLES = 576
"""The encoder's delay where no information frame says it, as on a live stream: LAME's default."""


class FrameHeader(NamedTuple):
    """The first four bytes of a frame; `num_bytes` with them."""

    version: int
    sample_rate_hz: int
    channels: int
    num_bytes: int

    def is_like(self, other: FrameHeader) -> bool:
        return self.version == other.version and self.sample_rate_hz == other.sample_rate_hz


def parse_header(octets: bytes) -> FrameHeader | None:
    """None if the four bytes cannot begin a frame of layer III with a stated bit rate."""
    if len(octets) < 4 or octets[0] != 0xFF or octets[1] & 0xE6 != 0xE2:
        return None
    version = octets[1] >> 3 & 3
    bit_rate_index, rate_index = octets[2] >> 4, octets[2] >> 2 & 3
    if version == 1 or rate_index == 3 or bit_rate_index in (0, 15):
        return None
    sample_rate_hz = _RATES_HZ[version][rate_index]
    kbits = (_KBITS_MPEG1 if version == 3 else _KBITS_MPEG2)[bit_rate_index]
    num_bytes = (144 if version == 3 else 72) * kbits * 1_000 // sample_rate_hz + (octets[2] >> 1 & 1)
    return FrameHeader(version, sample_rate_hz, 1 if octets[3] >> 6 == 3 else 2, num_bytes)


def read_mp3(queue: ByteQueue) -> StreamReader:
    """StreamStart whenever the rate changes, and a packet for each frame."""
    current: FrameHeader | None = None
    try:
        while True:
            header = yield from _next_header(queue, current)
            frame = yield from queue.exactly(header.num_bytes)
            if current is None or not header.is_like(current):
                current = header
                stated = _stated_delay_samples(frame, header)
                delay_samples = _UNSTATED_DELAY_SAMPLES if stated is None else stated
                yield StreamStart(
                    Codec.mp3,
                    header.sample_rate_hz,
                    header.channels,
                    skip_samples=delay_samples + _DECODER_DELAY_SAMPLES,
                )
                if stated is not None:
                    continue
            yield Packet(frame)
    except InputEnded:
        if current is None and queue.dropped_bytes:
            raise undecodable("a stream of mp3 must hold frames of MPEG audio layer III; there were none") from None


def _next_header(queue: ByteQueue, current: FrameHeader | None) -> Reading[FrameHeader]:
    """Wait until the queue begins with a frame's header; tags and garbage before it are passed over."""
    while True:
        yield from queue.at_least(4)
        start = queue.peek(4)
        if start[:3] == b"ID3":
            yield from _skip_id3(queue)
            continue
        header = parse_header(start)
        if header is not None and current is not None and header.is_like(current):
            return header
        if header is not None and (yield from _is_followed_by_another(queue, header)):
            return header
        # In step no longer, or not yet.
        current = None
        if header is None and start[0] != 0xFF:
            next_sync = queue.find(b"\xff", 1)
            queue.drop(len(queue) if next_sync < 0 else next_sync)
        else:
            queue.drop(1)


def _is_followed_by_another(queue: ByteQueue, header: FrameHeader) -> Reading[bool]:
    """At the end of the input a frame needs no successor. Raises InputEnded in the middle of the frame."""
    while len(queue) < header.num_bytes + 4 and not queue.is_ended:
        yield STARVING
    yield from queue.at_least(header.num_bytes)
    if len(queue) < header.num_bytes + 4:
        return True
    following = parse_header(queue.peek(4, at=header.num_bytes))
    return following is not None and following.is_like(header)


def _skip_id3(queue: ByteQueue) -> Reading[None]:
    tag = yield from queue.exactly(10)
    size = (tag[6] & 127) << 21 | (tag[7] & 127) << 14 | (tag[8] & 127) << 7 | tag[9] & 127
    has_footer = tag[5] & 0x10
    yield from queue.skip(size + (10 if has_footer else 0))


def _stated_delay_samples(frame: bytes, header: FrameHeader) -> int | None:
    """How much silence the encoder put first, if this is an information frame; None if it holds audio."""
    if frame[36:40] == b"VBRI":
        return _UNSTATED_DELAY_SAMPLES
    side_bytes = (17 if header.channels == 1 else 32) if header.version == 3 else (9 if header.channels == 1 else 17)
    at = 4 + side_bytes
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = frame[at + 7] if len(frame) > at + 7 else 0
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if frame[at : at + 4] not in (b"LAME", b"Lavc", b"Lavf", b"L3.9"):
        return _UNSTATED_DELAY_SAMPLES
    delay_and_padding = int.from_bytes(frame[at + 21 : at + 24], "big")
    return delay_and_padding >> 12
