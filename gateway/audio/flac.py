"""Reads native FLAC as it comes: finds where each frame ends, which FLAC itself does not say.

A frame ends where the next one's header begins: sync code, CRC-8 and the number that must come next all have to fit.
Encoders send a frame when it is full, so waiting for the next header would cost a whole frame of delay (256 ms at
16 kHz). Where the bytes end for now, the reader therefore guesses that the frame does, and the decoder checks (the
frame's CRC-16). libav's own parser waits for ten frames, which is seconds.

Source: RFC 9639, sections 8 and 9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from gateway.audio.byte_queue import STARVING, InputEnded
from gateway.audio.faults import undecodable
from gateway.audio.stream_events import Codec, Guess, Packet, StreamStart

if TYPE_CHECKING:
    from gateway.audio.byte_queue import ByteQueue, Reading
    from gateway.audio.stream_events import StreamReader

_MAX_HEADER_BYTES = 16
_MAX_FRAME_BYTES = 256 * 1024
"""Far above any real frame (4,608 samples of 8 channels of 24 bits are 108 KiB)."""
_MAX_GUESSES_PER_FRAME = 16
_MAX_GUESS_BYTES = 64 * 1024
"""Bounds what wrong guesses cost: each decodes a piece of a frame in vain."""
_MAX_DOUBTS_PER_FRAME = 16
"""Headers within a frame that do not fit. Sound looks like one by chance once in eight million bytes."""
_STREAMINFO_BYTES = 34
_FRAME_OR_STREAM = re.compile(rb"\xff[\xf8\xf9]|fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_PATTERN_BYTES = 8


def _crc8_table() -> bytes:
    table = bytearray()
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
        table.append(value)
    return bytes(table)


_CRC8 = _crc8_table()


class FrameHeader(NamedTuple):
    """`number` counts frames if `has_fixed_blocks`, else samples."""

    has_fixed_blocks: bool
    number: int
    block_samples: int
    num_bytes: int

    @property
    def next_number(self) -> int:
        return self.number + (1 if self.has_fixed_blocks else self.block_samples)


def parse_header(octets: bytes) -> FrameHeader | None:
    """A frame's header at the start of up to 16 bytes; None if there is none, or not all of it."""
    if len(octets) < 6 or octets[0] != 0xFF or octets[1] & 0xFE != 0xF8:
        return None
    block_code, rate_code = octets[2] >> 4, octets[2] & 15
    if not block_code or rate_code == 15 or octets[3] >> 4 > 10 or octets[3] & 1:
        return None
    coded = _coded_number(octets)
    if coded is None:
        return None
    number, at = coded
    block_bytes = block_code - 5 if block_code in (6, 7) else 0
    rate_bytes = 0 if rate_code < 12 else 1 if rate_code == 12 else 2
    end = at + block_bytes + rate_bytes
    if len(octets) <= end:
        return None
    crc = 0
    for octet in octets[:end]:
        crc = _CRC8[crc ^ octet]
    if crc != octets[end]:
        return None
    if block_bytes:
        block_samples = int.from_bytes(octets[at : at + block_bytes], "big") + 1
    elif block_code == 1:
        block_samples = 192
    else:
        block_samples = 576 << (block_code - 2) if block_code < 6 else 256 << (block_code - 8)
    return FrameHeader(not octets[1] & 1, number, block_samples, end + 1)


def _coded_number(octets: bytes) -> tuple[int, int] | None:
    """The number after the fourth byte, coded like UTF-8 of up to 36 bits, and where it ends."""
    first = octets[4]
    if first < 0x80:
        return first, 5
    following = next((count for count in range(1, 7) if not first & 0x40 >> count), None)
    if not first & 0x40 or following is None or first == 0xFF or len(octets) < 5 + following:
        return None
    number = first & (0x3F >> following)
    for octet in octets[5 : 5 + following]:
        if octet & 0xC0 != 0x80:
            return None
        number = number << 6 | octet & 0x3F
    return number, 5 + following


def read_flac(queue: ByteQueue) -> StreamReader:
    """One StreamStart and its packets for each stream; one may follow another."""
    try:
        while True:
            yield from _read_metadata(queue)
            yield from _read_frames(queue)
    except InputEnded:
        return


def _read_metadata(queue: ByteQueue) -> Reading[None]:
    start = yield from queue.exactly(4)
    while start[:3] == b"ID3":
        rest = yield from queue.exactly(6)
        yield from queue.skip((rest[2] & 127) << 21 | (rest[3] & 127) << 14 | (rest[4] & 127) << 7 | rest[5] & 127)
        start = yield from queue.exactly(4)
    if start != b"fLaC":
        raise undecodable("a stream of flac must begin with `fLaC`")
    is_first = True
    is_last = False
    while not is_last:
        header = yield from queue.exactly(4)
        is_last = bool(header[0] & 0x80)
        size = int.from_bytes(header[1:], "big")
        if not is_first:
            yield from queue.skip(size)
            continue
        if header[0] & 0x7F or size != _STREAMINFO_BYTES:
            raise undecodable("the first metadata block of a flac must be its STREAMINFO of 34 bytes")
        yield _start((yield from queue.exactly(size)))
        is_first = False


def _start(streaminfo: bytes) -> StreamStart:
    packed = int.from_bytes(streaminfo[10:14], "big")
    return StreamStart(Codec.flac, packed >> 12, (packed >> 9 & 7) + 1, extradata=streaminfo)


def _read_frames(queue: ByteQueue) -> Reading[None]:
    """To the end of the input or to the next stream."""
    while True:
        header = yield from _next_header(queue)
        if header is None:
            return
        while header is not None:
            header = yield from _read_frame(queue, header)


def _next_header(queue: ByteQueue) -> Reading[FrameHeader | None]:
    """Wait until the queue begins with a frame; None if it begins with another stream."""
    while True:
        while len(queue) < _MAX_HEADER_BYTES and not queue.is_ended:
            yield STARVING
        yield from queue.at_least(1)
        octets = queue.peek(_MAX_HEADER_BYTES)
        if octets[:4] == b"fLaC":
            return None
        header = parse_header(octets)
        if header is not None:
            return header
        found = queue.search(_FRAME_OR_STREAM, 1)
        queue.drop(found if found > 0 else max(1, len(queue) - _PATTERN_BYTES + 1))


def _read_frame(queue: ByteQueue, header: FrameHeader) -> Reading[FrameHeader | None]:
    """Yield the frame that the queue begins with. Returns the next one's header if it is already there.

    No packet holds a second frame: wherever one could begin, the first either ends or is known not to.
    """
    scanned = header.num_bytes
    guesses = doubts = 0
    while True:
        found = queue.search(_FRAME_OR_STREAM, scanned)
        if found >= 0 and (len(queue) >= found + _MAX_HEADER_BYTES or queue.is_ended):
            octets = queue.peek(_MAX_HEADER_BYTES, at=found)
            following = parse_header(octets)
            if octets[0] != 0xFF or (following is not None and _may_follow(following, header)):
                yield Packet(queue.take(found))
                return following
            if following is not None:
                doubts += 1
                if doubts > _MAX_DOUBTS_PER_FRAME:
                    raise undecodable("the frames of a flac must be numbered one after another")
                if (yield Guess(queue.peek(found))):
                    queue.take(found)
                    return following
            scanned = found + 1
            continue
        if queue.is_ended:
            yield Packet(queue.take(len(queue)))
            raise InputEnded
        if len(queue) > _MAX_FRAME_BYTES:
            raise undecodable(f"a frame of flac may have at most {_MAX_FRAME_BYTES} bytes")
        scanned = found if found >= 0 else max(scanned, len(queue) - _PATTERN_BYTES + 1)
        if guesses < _MAX_GUESSES_PER_FRAME and len(queue) <= _MAX_GUESS_BYTES:
            guesses += 1
            if (yield Guess(queue.peek(len(queue)), may_wait=True)):
                queue.take(len(queue))
                return None
        yield STARVING


def _may_follow(following: FrameHeader, header: FrameHeader) -> bool:
    """The next frame, or one soon after it where some were lost."""
    if following.has_fixed_blocks != header.has_fixed_blocks:
        return False
    lost = following.number - header.next_number
    return 0 <= lost <= (8 if header.has_fixed_blocks else 8 * header.block_samples)
