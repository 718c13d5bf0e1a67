from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3.message_reader import Fault, MessageReader
from gateway.wire.stream_messages import AUDIO, MARK, TEXT, encode

pytestmark = pytest.mark.unit

MAX = 200
MESSAGES = st.lists(st.tuples(st.sampled_from([TEXT, AUDIO, MARK]), st.binary(max_size=MAX)), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(at)]


@given(MESSAGES, st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_arrive_whatever_the_cuts(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    stream = b"".join(encode(*message) for message in sent)
    found = [message for piece in pieces(stream, cuts) for message in reader.feed(piece)]
    assert found == sent
    assert reader.fault is None
    assert reader.is_between_messages


@given(MESSAGES)
def test_messages_arrive_byte_by_byte(sent: list[tuple[int, bytes]]) -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    stream = b"".join(encode(*message) for message in sent)
    found = []
    for byte in stream:
        found += reader.feed(bytes([byte]))
    assert found == sent


@given(st.lists(st.binary(max_size=64), max_size=30))
def test_any_bytes_give_messages_or_a_fault_within_bounded_memory(parts: list[bytes]) -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    for part in parts:
        was_broken = reader.fault is not None
        found = reader.feed(part)
        assert all(kind in (TEXT, AUDIO, MARK) and len(payload) <= MAX for kind, payload in found)
        assert not (was_broken and found)
        assert len(reader._payload) <= MAX
        assert len(reader._header) < 4


@pytest.mark.parametrize("cut", range(9))
def test_a_stream_may_end_only_between_messages(cut: int) -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    reader.feed(encode(TEXT, b"12345")[:cut])
    assert reader.is_between_messages is (cut in (0, 9))


def test_messages_before_a_fault_are_delivered_and_none_after_it() -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    assert reader.feed(encode(TEXT, b"good") + b"\x09\x00\x00\x00" + encode(TEXT, b"late")) == [(TEXT, b"good")]
    assert reader.fault is Fault.unknown_kind
    assert reader.feed(encode(TEXT, b"later")) == []


def test_the_largest_message_is_taken_and_one_byte_more_is_too_large() -> None:
    reader = MessageReader(max_payload_bytes=MAX)
    assert reader.feed(encode(AUDIO, bytes(MAX))) == [(AUDIO, bytes(MAX))]
    assert reader.feed(encode(AUDIO, bytes(MAX + 1))[:4]) == []
    assert reader.fault is Fault.too_large


def test_an_announced_length_takes_no_memory() -> None:
    reader = MessageReader(max_payload_bytes=(1 << 24) - 1)
    reader.feed(b"\x02\xff\xff\xff")
    assert reader._payload.__alloc__() < 100


def test_a_message_of_a_mebibyte_in_bytes_takes_time_that_grows_as_it_does() -> None:
    """A buffer copied for every piece would move some 5 * 10^11 bytes here."""
    reader = MessageReader(max_payload_bytes=1 << 20)
    found = []
    for at in range(0, (1 << 20) + 4, 2):
        found += reader.feed(encode(AUDIO, bytes(1 << 20))[at : at + 2] if at < 4 else b"\x00\x00")
    assert found == [(AUDIO, bytes(1 << 20))]
