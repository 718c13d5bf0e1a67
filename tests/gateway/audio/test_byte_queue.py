"""The queue between fed bytes and a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.audio.byte_queue import STARVING, ByteQueue, InputEnded
from gateway.audio.settings import AudioSettings
from gateway.errors import ClientFault, Reason

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

pytestmark = pytest.mark.unit


def queue_of(data: bytes = b"") -> ByteQueue:
    queue = ByteQueue("test", AudioSettings(max_metadata_bytes=4_096, max_garbage_bytes=1_024))
    queue.append(data)
    return queue


def result_of(reading: Generator[Any, Any, Any]) -> object:
    """What a reading returns that need not wait."""
    with pytest.raises(StopIteration) as stop:
        next(reading)
    return stop.value.value


def test_a_reading_starves_until_its_bytes_are_there():
    queue = queue_of(b"ab")
    reading = queue.exactly(4)
    assert next(reading) is STARVING
    queue.append(b"c")
    assert next(reading) is STARVING
    queue.append(memoryview(b"de"))
    assert result_of(reading) == b"abcd"
    assert queue.take(1) == b"e"


def test_a_reading_ends_when_its_bytes_will_never_come():
    queue = queue_of(b"ab")
    reading = queue.exactly(4)
    next(reading)
    queue.end()
    with pytest.raises(InputEnded):
        next(reading)


def test_looking_ahead_takes_nothing():
    queue = queue_of(b"abcdef")
    assert (queue.peek(2), queue.peek(9, at=4), queue.find(b"d", 1), queue.find(b"a", 1)) == (b"ab", b"ef", 3, -1)
    assert len(queue) == 6


def test_what_is_skipped_is_never_held():
    queue = queue_of()
    skipping = queue.skip(3_000)
    for _ in range(3):
        assert next(skipping) is STARVING
        queue.append(bytes(900))
        assert len(queue) == 900
    assert next(skipping) is STARVING
    assert len(queue) == 0
    queue.append(bytes(300) + b"x")
    assert result_of(skipping) is None
    assert queue.take(1) == b"x"


def test_more_metadata_than_allowed_is_refused_before_it_comes():
    with pytest.raises(ClientFault) as refused:
        next(queue_of().skip(4_097))
    assert refused.value.reason is Reason.undecodable_audio
    assert "4096 bytes" in refused.value.detail


def test_more_garbage_than_allowed_is_refused():
    queue = queue_of(bytes(2_000))
    queue.drop(1_024)
    with pytest.raises(ClientFault, match="1025 bytes in a row are not test"):
        queue.drop(1)


def test_audio_lets_the_counts_begin_afresh():
    queue = queue_of(bytes(3_000))
    queue.drop(1_024)
    queue.audio_found()
    assert queue.dropped_bytes == 0
    queue.drop(1_024)
