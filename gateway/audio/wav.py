"""Reads WAV as it comes: RIFF and RF64, sizes true, unknown or endless, one file after another in one stream.

Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF WAVE); EBU Tech 3306 (RF64); for sizes that
live encoders leave at 0 or 0xFFFFFFFF: ffmpeg, sox and arecord writing to a pipe.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from gateway.audio.byte_queue import InputEnded
from gateway.audio.faults import undecodable
from gateway.audio.samples import SampleType
from gateway.audio.stream_events import Codec, Packet, StreamStart

if TYPE_CHECKING:
    from gateway.audio.byte_queue import ByteQueue, Reading
    from gateway.audio.stream_events import StreamReader

_SAMPLE_TYPES = {
    (1, 8): SampleType.u8,
    (1, 16): SampleType.s16le,
    (1, 24): SampleType.s24le,
    (1, 32): SampleType.s32le,
    (3, 32): SampleType.f32le,
    (3, 64): SampleType.f64le,
    (6, 8): SampleType.alaw,
    (7, 8): SampleType.mulaw,
}
_EXTENSIBLE = 0xFFFE
_UNKNOWN_SIZES = frozenset({0, 0xFFFF_FFFF})
_MAX_FMT_BYTES = 4_096
_DS64_BYTES = 28


def read_wav(queue: ByteQueue) -> StreamReader:
    """One StreamStart and its packets for each file in the stream."""
    try:
        yield from _read_header(queue)
        while True:
            yield from _read_file(queue)
    except InputEnded:
        return


def _read_header(queue: ByteQueue) -> Reading[None]:
    riff = yield from queue.exactly(12)
    if riff[:4] not in (b"RIFF", b"RF64") or riff[8:] != b"WAVE":
        raise undecodable("a stream of wav must begin with `RIFF`, a size and `WAVE`")


def _read_file(queue: ByteQueue) -> Reading[None]:
    """From after the header to after the header of the file that follows."""
    start: StreamStart | None = None
    long_data_bytes: int | None = None
    while True:
        name, size = struct.unpack("<4sI", (yield from queue.exactly(8)))
        if name == b"RIFF":
            if (yield from queue.exactly(4)) != b"WAVE":
                raise undecodable("a `RIFF` within a stream of wav must be a `WAVE`")
            return
        if name == b"fmt ":
            if not 16 <= size <= _MAX_FMT_BYTES:
                raise undecodable(f"the `fmt ` chunk of a wav must have 16 to {_MAX_FMT_BYTES} bytes, not {size}")
            start = _parse_fmt((yield from queue.exactly(size + size % 2)))
            yield start
        elif name == b"ds64" and size >= _DS64_BYTES:
            ds64 = yield from queue.exactly(_DS64_BYTES)
            long_data_bytes = int.from_bytes(ds64[8:16], "little")
            yield from queue.skip(size + size % 2 - _DS64_BYTES)
        elif name == b"data":
            if start is None:
                raise undecodable("the `fmt ` chunk of a wav must come before its `data`")
            is_endless = size in _UNKNOWN_SIZES and not long_data_bytes
            yield from _read_data(queue, start, None if is_endless else long_data_bytes or size)
        else:
            yield from queue.skip(size + size % 2)


def _parse_fmt(fmt: bytes) -> StreamStart:
    tag, channels, sample_rate_hz, _, bytes_per_instant, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and len(fmt) >= 40:
        tag = int.from_bytes(fmt[24:26], "little")
    sample_type = _SAMPLE_TYPES.get((tag, bits))
    if sample_type is None:
        raise undecodable(
            "wav must hold PCM of 8, 16, 24 or 32 bits, float of 32 or 64, A-law or µ-law, "
            f"not format {tag} of {bits} bits"
        )
    if not channels or bytes_per_instant != channels * sample_type.num_bytes:
        raise undecodable(
            f"the block size of a wav with {channels} channels of {bits} bits must be "
            f"{channels * sample_type.num_bytes} bytes, not {bytes_per_instant}"
        )
    return StreamStart(Codec.samples, sample_rate_hz, channels, sample_type=sample_type)


def _read_data(queue: ByteQueue, start: StreamStart, num_bytes: int | None) -> Reading[None]:
    """Whole instants as they come. `num_bytes` None: to the end of the input."""
    assert start.sample_type is not None
    bytes_per_instant = start.channels * start.sample_type.num_bytes
    left_bytes = num_bytes
    while left_bytes is None or left_bytes >= bytes_per_instant:
        there = len(queue) if left_bytes is None else min(len(queue), left_bytes)
        if there < bytes_per_instant:
            yield from queue.at_least(bytes_per_instant)
            continue
        taken = there - there % bytes_per_instant
        yield Packet(queue.take(taken))
        if left_bytes is not None:
            left_bytes -= taken
    assert left_bytes is not None
    assert num_bytes is not None
    yield from queue.skip(left_bytes + num_bytes % 2)
