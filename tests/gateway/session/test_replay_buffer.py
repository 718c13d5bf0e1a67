"""The replay buffer: every sample that is not final, and no other."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.session.replay_buffer import ReplayBuffer

pytestmark = pytest.mark.unit


def test_audio_is_given_once_and_again_after_a_rewind() -> None:
    buffer = ReplayBuffer()
    buffer.append(b"aabbcc")
    assert buffer.take_unsent(2) == b"aabb"
    assert buffer.take_unsent(9) == b"cc"
    assert buffer.take_unsent(9) == b""
    buffer.rewind()
    assert buffer.take_unsent(9) == b"aabbcc"


def test_released_audio_is_gone_and_the_rest_keeps_its_place() -> None:
    buffer = ReplayBuffer()
    buffer.append(b"aabbcc")
    buffer.take_unsent(3)
    buffer.release(2)
    assert (buffer.start_sample, buffer.end_sample, buffer.held_samples) == (2, 3, 1)
    buffer.rewind()
    assert buffer.take_unsent(9) == b"cc"


@pytest.mark.parametrize("before_sample", [-1, 3])
def test_audio_that_was_never_sent_cannot_be_released(before_sample: int) -> None:
    buffer = ReplayBuffer()
    buffer.append(b"aabbcc")
    buffer.take_unsent(2)
    with pytest.raises(ValueError, match="cannot release"):
        buffer.release(before_sample)


def test_a_message_that_is_sent_as_it_came_is_not_copied() -> None:
    buffer = ReplayBuffer()
    messages = [bytes([number]) * 3_200 for number in range(3)]
    for message in messages:
        buffer.append(message)
        assert buffer.take_unsent(buffer.end_sample) is message
    buffer.rewind()
    assert buffer.take_unsent(buffer.end_sample) == b"".join(messages)


def test_audio_that_comes_sample_by_sample_takes_little_more_memory_than_it_has_bytes() -> None:
    buffer = ReplayBuffer()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            buffer.append(number.to_bytes(2, "little"))
            buffer.take_unsent(buffer.end_sample)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1.2 * 40_000


_SAMPLES = st.one_of(st.integers(0, 40), st.sampled_from([511, 512, 513, 600, 1_600]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("atrw"), _SAMPLES), max_size=60))
def test_the_buffer_holds_what_a_whole_recording_would_give(steps: list[tuple[str, int]]) -> None:
    recording = b""
    buffer = ReplayBuffer()
    for action, number in steps:
        if action == "a":
            piece = bytes((len(recording) + i) % 251 for i in range(2 * number))
            recording += piece
            buffer.append(piece)
        elif action == "t":
            first = buffer.sent_sample
            taken = buffer.take_unsent(first + number)
            assert taken == recording[2 * first : 2 * min(first + number, buffer.end_sample)]
        elif action == "r":
            buffer.release(min(buffer.start_sample + number, buffer.sent_sample))
        else:
            buffer.rewind()
        assert 0 <= buffer.start_sample <= buffer.sent_sample <= buffer.end_sample == len(recording) // 2


def test_a_fork_gives_all_that_is_held_and_each_goes_its_own_way() -> None:
    buffer = ReplayBuffer(5)
    buffer.append(b"aabbcc")
    buffer.take_unsent(7)
    buffer.release(6)
    fork = buffer.fork()
    buffer.append(b"dd")
    fork.append(b"dd")
    assert fork.take_unsent(99) == b"bbccdd"
    assert buffer.take_unsent(99) == b"ccdd"
    buffer.release(9)
    assert (fork.start_sample, fork.held_samples, buffer.held_samples) == (6, 3, 0)


def test_a_fork_shares_the_audio() -> None:
    buffer = ReplayBuffer()
    buffer.append(bytes(2_000_000))
    tracemalloc.start()
    fork = buffer.fork()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fork.held_samples == 1_000_000
    assert peak < 20_000


def test_what_adopts_a_fork_goes_on_as_it() -> None:
    buffer = ReplayBuffer()
    buffer.append(b"aabbcc")
    buffer.take_unsent(3)
    fork = buffer.fork()
    fork.take_unsent(1)
    buffer.adopt(fork)
    assert (buffer.start_sample, buffer.sent_sample, buffer.end_sample) == (0, 1, 3)
    assert buffer.take_unsent(99) == b"bbcc"
