"""Credit of a stream: a window beyond what was read, and no more, however much is read."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.packet import QuicFrameType, QuicStreamFrame
from aioquic.quic.stream import QuicStream

from gateway.webtransport.quic.sliding_window import write_stream_limit

pytestmark = pytest.mark.unit

WINDOW_BYTES = 1_000


class Builder:
    """Keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, Buffer]] = []

    def start_frame(self, frame_type: int, **_: Any) -> Buffer:
        buffer = Buffer(capacity=32)
        self.frames.append((frame_type, buffer))
        return buffer

    @property
    def limits(self) -> list[int]:
        told = []
        for frame_type, buffer in self.frames:
            assert frame_type == QuicFrameType.MAX_STREAM_DATA
            read = Buffer(data=buffer.data)
            assert read.pull_uint_var() == 4
            told.append(read.pull_uint_var())
        return told


def a_stream() -> QuicStream:
    return QuicStream(4, max_stream_data_local=WINDOW_BYTES, max_stream_data_remote=0)


def read(stream: QuicStream, count: int, *, is_end: bool = False) -> None:
    offset = stream.receiver.starting_offset()
    stream.receiver.handle_frame(QuicStreamFrame(data=bytes(count), fin=is_end, offset=offset))


def written(stream: QuicStream) -> list[int]:
    builder = Builder()
    write_stream_limit(builder, stream, window_bytes=WINDOW_BYTES, on_delivery=lambda *_: None)  # type: ignore[arg-type]
    return builder.limits


def test_credit_comes_with_half_a_window_and_is_never_more_than_one() -> None:
    stream = a_stream()
    read(stream, 499)
    assert written(stream) == []
    read(stream, 1)
    assert written(stream) == [1_500]
    assert written(stream) == []
    for at in range(1_000, 20_000, 500):
        read(stream, 500)
        assert written(stream) == [at + WINDOW_BYTES]


def test_credit_that_was_lost_is_told_again() -> None:
    stream = a_stream()
    read(stream, 600)
    assert written(stream) == [1_600]
    stream.max_stream_data_local_sent = 0
    assert written(stream) == [1_600]


def test_a_stream_that_was_read_to_its_end_gets_none() -> None:
    stream = a_stream()
    read(stream, 900, is_end=True)
    assert written(stream) == []
